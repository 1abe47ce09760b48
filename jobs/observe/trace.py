"""Traces: enqueueing and performing as linked spans, by OpenTelemetry's messaging conventions. Off by default.

Needs only the API (the extra ``otel``); the application sets up the exporter. The conventions are not stable yet, so
only this module uses their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager as Context
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from typing import Any

from jobs.errors import ConfigurationError
from jobs.ledger.records import AttemptResult, Claim, NewRun
from jobs.settings import Settings
from jobs.states import CHARGED

RecordResult = Callable[[AttemptResult], AttemptResult]
"""Adds an attempt's result to its span, and returns it."""

MAX_CONTEXT = 200
"""Characters that the ledger stores of a trace context."""


def carry(runs: Sequence[NewRun]) -> Sequence[NewRun]:
    """The runs, each with the context of a span that records its sending.

    Raises:
        ConfigurationError: tracing is on, but OpenTelemetry is not installed.
    """
    trace, propagation = _api()
    tracer = trace.get_tracer("jobledger")
    carried = []
    for run in runs:
        attributes = _attributes("send", run.queue, run.kind, str(run.id), run.correlation_id)
        with tracer.start_as_current_span(f"send {run.queue}", kind=trace.SpanKind.PRODUCER, attributes=attributes):
            context: dict[str, str] = {}
            propagation.TraceContextTextMapPropagator().inject(context)
        parent = context.get("traceparent", "")
        carried.append(_with(run, parent) if 0 < len(parent) <= MAX_CONTEXT else run)
    return carried


@contextmanager
def continuing(traceparent: str | None) -> Iterator[None]:
    """Let runs that are enqueued in the block continue the trace of ``traceparent``, unless a span is open already."""
    trace, propagation = _api()
    if not traceparent or trace.get_current_span().get_span_context().is_valid:
        yield
        return
    from opentelemetry import context

    token = context.attach(propagation.TraceContextTextMapPropagator().extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


def _with(run: NewRun, context: str) -> NewRun:
    """The run with the context of its sending; its follow-ups get the same context."""
    followups = tuple(replace(one, run=_with(one.run, context)) for one in run.followups)
    return replace(run, trace_context=context, followups=followups)


def consumer(settings: Settings) -> Callable[[Claim], Context[RecordResult]]:
    """A function that opens the span of an attempt; it does nothing when tracing is off."""
    if not settings.tracing:
        off: Context[RecordResult] = nullcontext(_as_it_is)
        return lambda claim: off
    trace, propagation = _api()

    @contextmanager
    def process(claim: Claim) -> Iterator[RecordResult]:
        attributes = _attributes("process", claim.queue, claim.kind, str(claim.run_id), claim.correlation_id)
        attributes["jobs.attempt"] = claim.attempt
        with trace.get_tracer("jobledger").start_as_current_span(
            f"process {claim.queue}",
            kind=trace.SpanKind.CONSUMER,
            attributes=attributes,
            links=_links(trace, propagation, claim),
        ) as span:
            yield lambda attempt_result: _record_result(trace, span, attempt_result)

    return process


def _links(trace: Any, propagation: Any, claim: Claim) -> list[Any]:
    """A link, not a parent: a run may be performed long after, and many times."""
    if not claim.trace_context:
        return []
    found = propagation.TraceContextTextMapPropagator().extract({"traceparent": claim.trace_context})
    context = trace.get_current_span(found).get_span_context()
    return [trace.Link(context)] if context.is_valid else []


def _record_result(trace: Any, span: Any, attempt_result: AttemptResult) -> AttemptResult:
    span.set_attribute("jobs.outcome", attempt_result.outcome.value)
    if attempt_result.outcome in CHARGED:
        # Only the class: messages are the application's text, and spans are sent far.
        span.set_attribute(
            "error.type", attempt_result.failure.type if attempt_result.failure else attempt_result.outcome.value
        )
        span.set_status(trace.Status(trace.StatusCode.ERROR))
    return attempt_result


def _as_it_is(attempt_result: AttemptResult) -> AttemptResult:
    return attempt_result


def _attributes(operation: str, queue: str, kind: str, run_id: str, correlation_id: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "messaging.system": "jobs",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "messaging.message.id": run_id,
        "jobs.kind": kind,
    }
    if correlation_id is not None:
        found["messaging.message.conversation_id"] = correlation_id
    return found


def _api() -> tuple[Any, Any]:
    try:
        return import_module("opentelemetry.trace"), import_module("opentelemetry.trace.propagation.tracecontext")
    except ModuleNotFoundError:
        raise ConfigurationError(
            "JOBS_TRACING is on, but OpenTelemetry is not installed.",
            hint="Install jobledger[otel], or unset JOBS_TRACING.",
        ) from None
