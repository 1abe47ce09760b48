"""OpenTelemetry's metrics: by the messaging conventions, from committed events, without series of made-up names."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from jobs import Job, Retry
from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import ConfigurationError
from jobs.events import RunEnqueued
from jobs.ledger.queries.find import list_runs
from jobs.observe import watch
from tests.waiting import wait_until
from tests.worker.one_process import started


class Metered(Job, queue="metered", retry=Retry(max_attempts=1)):
    fails: bool = False

    def perform(self) -> None:
        if self.fails:
            raise ValueError("no")


def points(reader: Any) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    for resource in reader.get_metrics_data().resource_metrics:
        for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
            found[metric.name] = [(dict(one.attributes), one) for one in metric.data.data_points]
    return found


def test_attempts_and_enqueued_runs_are_recorded_by_the_conventions(
    sqlite_url: str, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.metrics")
    export = pytest.importorskip("opentelemetry.sdk.metrics.export")
    reader = export.InMemoryMetricReader()
    provider = sdk.MeterProvider(metric_readers=[reader])
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    app: App = make_app(sqlite_url, otel_metrics=True)
    monkeypatch.setattr("jobs.boot._app", app)
    watch(app)

    Metered().enqueue()
    Metered(fails=True).enqueue()
    app.events.emit([RunEnqueued(new_run_id(), "MadeUp", "made-up")])
    with started(app, "metered"):
        assert wait_until(lambda: _all_ended(app), seconds=60)

    found = points(reader)
    base = {"messaging.system": "jobs", "jobs.kind": "Metered", "messaging.destination.name": "metered"}
    sent = {
        (one["jobs.kind"], one["messaging.destination.name"]): point.value
        for one, point in found["messaging.client.sent.messages"]
    }
    assert sent == {("Metered", "metered"): 2, ("other", "other"): 1}
    consumed = [one for one, _ in found["messaging.client.consumed.messages"]]
    assert [one for one, _ in found["messaging.process.duration"]] == consumed
    consumed.sort(key=lambda one: str(one["jobs.outcome"]))
    assert consumed == [
        {**base, "messaging.operation.name": "process", "jobs.outcome": "failed", "error.type": "ValueError"},
        {**base, "messaging.operation.name": "process", "jobs.outcome": "succeeded"},
    ]
    assert sum(point.count for _, point in found["jobs.wait.duration"]) == 2


def test_without_opentelemetry_the_setting_is_refused(
    sqlite_url: str, make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)

    with pytest.raises(ConfigurationError, match="not installed"):
        watch(make_app(sqlite_url, otel_metrics=True))


def _all_ended(app: App) -> bool:
    with app.database.read() as connection:
        return all(run.finished_at is not None for run in list_runs(connection, limit=10))
