"""Spans of enqueueing and performing, linked through the ledger."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the OpenTelemetry SDK is not installed: it is a test's need")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import jobs
from jobs import boot
from jobs.app import App
from jobs.errors import ConfigurationError
from jobs.ledger.moment import ledger_moment
from jobs.ledger.records import AttemptResult, Claim, Failure
from jobs.ledger.runs.claim import claim_due
from jobs.ledger.runs.settle import settle
from jobs.ledger.schedules import schedules
from jobs.observe import trace as tracing
from jobs.scheduling.schedule import Every
from jobs.scheduling.serialize import write_data
from jobs.scheduling.slots import next_slot
from jobs.settings import Settings
from jobs.states import Outcome
from scheduler.periodic import Periodic
from tests.conftest import MakeApp
from tests.seen_app import Fine
from tests.worker_process import ROOT

_EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def _provider() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
    trace.set_tracer_provider(provider)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    _EXPORTER.clear()
    return _EXPORTER


@pytest.fixture
def traced(ledger_url: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    app = make_app(ledger_url, tracing=True)
    monkeypatch.setattr(boot, "_app", app)
    return app


def test_an_attempt_is_linked_to_its_enqueueing_through_the_ledger(traced: App, spans: InMemorySpanExporter) -> None:
    with jobs.correlate("request-1"), trace.get_tracer("shop").start_as_current_span("request"):
        run = Fine().enqueue()
    claim = _claim(traced)

    with tracing.consumer(traced.settings)(claim) as note:
        inner = trace.get_current_span().get_span_context()
        note(_attempt_result(claim, Outcome.SUCCEEDED))

    sent, process = _named(spans, "send default"), _named(spans, "process default")
    assert sent.parent is not None
    assert sent.kind is trace.SpanKind.PRODUCER
    assert process.kind is trace.SpanKind.CONSUMER
    assert process.context.span_id == inner.span_id
    assert [link.context.span_id for link in process.links] == [sent.context.span_id]
    assert process.parent is None
    attributes = dict(process.attributes or {})
    assert attributes["messaging.message.id"] == str(run.id)
    assert attributes["messaging.message.conversation_id"] == "request-1"
    assert attributes["jobs.kind"] == "Fine"
    assert attributes["jobs.attempt"] == 1
    assert attributes["jobs.outcome"] == "succeeded"


def test_a_follow_up_is_linked_to_the_span_that_asked_for_it(traced: App, spans: InMemorySpanExporter) -> None:
    Fine().enqueue(on_success=[Fine(n=2)])
    claim = _claim(traced)
    with traced.database.write() as connection:
        settle(connection, [_attempt_result(claim, Outcome.SUCCEEDED)], worker="me", poison_after=3, monotonic=0.0)

    follow_up = _claim(traced)
    with tracing.consumer(traced.settings)(follow_up):
        pass

    assert follow_up.run_id != claim.run_id
    sent, process = _named(spans, "send default"), _named(spans, "process default")
    assert [link.context.span_id for link in process.links] == [sent.context.span_id]


def test_a_run_that_a_schedule_makes_is_sent_too(traced: App, spans: InMemorySpanExporter) -> None:
    every = Every(timedelta(seconds=5))
    row = {
        "name": "often", "owner": "operator", "kind": "Fine", "queue": "default", "priority": 0, "arguments": "{}",
        "arguments_version": 1, "max_attempts": 3, "definition": write_data(every),
    }  # fmt: skip
    with traced.database.write() as connection:
        began = ledger_moment(connection) - timedelta(minutes=1)
        schedules.add(connection, row, next_slot_at=next_slot(every, began), now=began)

    assert Periodic(traced).tick().fired > 0
    claim = _claim(traced)

    assert claim.trace_context is not None
    sent = [span for span in spans.get_finished_spans() if span.name == "send default"]
    assert claim.trace_context.split("-")[2] in {f"{span.context.span_id:016x}" for span in sent}


def test_a_failure_marks_its_span_by_its_class_alone(traced: App, spans: InMemorySpanExporter) -> None:
    Fine().enqueue()
    claim = _claim(traced)

    with tracing.consumer(traced.settings)(claim) as note:
        note(_attempt_result(claim, Outcome.FAILED, Failure("shop.NoStock", "secret words", None, "")))

    span = _named(spans, "process default")
    assert span.status.status_code is trace.StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "shop.NoStock"
    assert "secret words" not in span.to_json()


def test_with_tracing_off_nothing_is_sent_or_imported(app: App, spans: InMemorySpanExporter) -> None:
    Fine().enqueue()
    claim = _claim(app)
    with tracing.consumer(app.settings)(claim) as note:
        note(_attempt_result(claim, Outcome.SUCCEEDED))
    code = "import sys, jobs.enqueue.write_path, worker.process.process; "
    code += "sys.exit(any(n.startswith('opentelemetry') for n in sys.modules))"

    imported = subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode

    assert spans.get_finished_spans() == ()
    assert claim.trace_context is None
    assert imported == 0


def test_tracing_without_opentelemetry_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)

    with pytest.raises(ConfigurationError, match=r"jobledger\[otel\]"):
        tracing.consumer(Settings(tracing=True))


def _claim(app: App) -> Claim:
    with app.database.write() as connection:
        (claim,) = claim_due(connection, "default", count=1, kinds=["Fine"], worker="me", lease=timedelta(seconds=30))
    return claim


def _attempt_result(claim: Claim, outcome: Outcome, failure: Failure | None = None) -> AttemptResult:
    return AttemptResult(claim=claim, outcome=outcome, elapsed_seconds=0.1, ended_monotonic=0.0, failure=failure)


def _named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.name == name]
    return found
