"""Metrics by OpenTelemetry's messaging conventions, from the same events as ours. Off by default.

Needs only the API (the extra ``otel``); the application sets up the exporter, in each process that it imports. The
conventions are not stable yet, so only this module and ``trace`` use their names.

Source: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import Any

from jobs.app import App
from jobs.definition import registry
from jobs.errors import ConfigurationError
from jobs.events import AttemptEnded, RunEnqueued
from jobs.states import CHARGED

SYSTEM = {"messaging.system": "jobs"}
OTHER = "other"
"""The name of a queue or kind that this process does not know, so that made-up names create no series."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Upper bounds in seconds that the conventions advise."""


class OtelMeter:
    """Records the events of one process."""

    def __init__(self, meter: Any, *, queues: frozenset[str]) -> None:
        self._queues = queues
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", unit="{message}", description="Runs that this process enqueued."
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages", unit="{message}", description="Attempts that this process ended."
        )
        self._process = meter.create_histogram(
            "messaging.process.duration",
            unit="s",
            description="How long an attempt took.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._wait = meter.create_histogram(
            "jobs.wait.duration", unit="s", description="From when a run was due to when its attempt started."
        )

    def record_enqueued(self, batch: list[RunEnqueued]) -> None:
        for (queue, kind), number in Counter((one.queue, one.kind) for one in batch).items():
            self._sent.add(number, self._attributes("send", queue, kind))

    def record_ends(self, batch: list[AttemptEnded]) -> None:
        for one in batch:
            attributes = self._attributes("process", one.queue, one.kind)
            if one.waited_seconds is not None:
                self._wait.record(one.waited_seconds, attributes)
            attributes["jobs.outcome"] = one.outcome.value
            if one.outcome in CHARGED:
                attributes["error.type"] = one.error_type or one.outcome.value
            self._consumed.add(1, attributes)
            self._process.record(one.elapsed_seconds, attributes)

    def _attributes(self, operation: str, queue: str, kind: str) -> dict[str, Any]:
        job = registry.find(kind)
        is_known = queue in self._queues or (job is not None and job.options.queue == queue)
        return {
            **SYSTEM,
            "messaging.operation.name": operation,
            "messaging.destination.name": queue if is_known else OTHER,
            "jobs.kind": kind if job is not None else OTHER,
        }


def subscribe(app: App) -> None:
    """Record events with the meter provider of this process.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    try:
        metrics = import_module("opentelemetry.metrics")
    except ModuleNotFoundError:
        raise ConfigurationError(
            "JOBS_OTEL_METRICS is on, but OpenTelemetry is not installed.",
            hint="Install jobledger[otel], or unset JOBS_OTEL_METRICS.",
        ) from None
    served = frozenset(one.partition(":")[0] for one in app.settings.queues)
    meter = OtelMeter(metrics.get_meter("jobledger"), queues=served)
    app.events.subscribe(RunEnqueued, meter.record_enqueued)
    app.events.subscribe(AttemptEnded, meter.record_ends)
