"""The trace of a request goes on in the runs that it enqueues."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from sqlalchemy import select

import jobs
from jobs import Job
from jobs.database.models import JobRun
from jobs.web.request_context import in_request

TRACE = "0af7651916cd43dd8448eb211c80319c"
THEIRS = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-request-id": "order-7-by-ann"}


class Traced(Job):
    def perform(self) -> None: ...


def context_of(app, headers: dict[str, str]) -> tuple[str | None, str | None]:
    with in_request(headers.get):
        run = Traced().enqueue()
    with app.database.read() as connection:
        row = connection.execute(select(JobRun.trace_context, JobRun.correlation_id).where(JobRun.id == run.id)).one()
    return tuple(row)


@pytest.mark.parametrize("tracing", [True, False])
def test_a_run_continues_the_trace_of_its_request_if_tracing_is_on(sqlite_url, make_app, monkeypatch, tracing):
    app = make_app(sqlite_url, tracing=tracing)
    monkeypatch.setattr(jobs.boot, "_app", app)

    context, correlation = context_of(app, THEIRS)

    assert correlation == "order-7-by-ann"
    assert (TRACE in (context or "")) == tracing
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("given", ["", "no trace", f"00-{'0' * 32}-b7ad6b7169203331-01", "x" * 5000])
def test_a_request_with_a_broken_trace_is_served(sqlite_url, make_app, monkeypatch, given):
    app = make_app(sqlite_url, tracing=True)
    monkeypatch.setattr(jobs.boot, "_app", app)

    context, correlation = context_of(app, {"traceparent": given, "x-request-id": "short"})

    assert TRACE not in (context or "")
    assert correlation != "short"
