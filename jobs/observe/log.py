"""Logs: JSON for machines, readable on a terminal; one line an attempt, when it is settled. Never arguments."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from jobs.context import correlation_id, current_run
from jobs.events import (
    AttemptEnded,
    AttemptStarted,
    Events,
    LeadChanged,
    ResultRefused,
    RunsSwept,
    ScheduleBroken,
    ServiceFailed,
    SlotFired,
    SlotPassed,
)
from jobs.observe.lines import Lines
from jobs.settings import Settings
from jobs.states import RunState

attempts = logging.getLogger("jobs.attempt")
ledger = logging.getLogger("jobs.ledger")
scheduler = logging.getLogger("jobs.scheduler")
_lines: Lines | None = None


def configure_logging(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send every log line of this process, the application's too, to ``stream`` (stderr) in one form."""
    out = stream if stream is not None else sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not out.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context,
    ]
    last: list[Any] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(default=str)]
        if as_json
        else [_one_line, structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=0)]
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    global _lines
    _lines = Lines(handler) if as_json else None
    root.setLevel(settings.log_level.upper())
    # dramatiq tells of each message and of each exception; we do that, with less.
    logging.getLogger("dramatiq").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("alembic").setLevel(logging.WARNING)


def subscribe(events: Events) -> None:
    """Log what happens."""
    events.subscribe(AttemptEnded, _log_ends)
    events.subscribe(AttemptStarted, _log_starts)
    events.subscribe(ResultRefused, _log_refusals)
    events.subscribe(ServiceFailed, _log_failures)
    events.subscribe(RunsSwept, _log_sweeps)
    events.subscribe(SlotFired, _log_fired)
    events.subscribe(SlotPassed, _log_passed)
    events.subscribe(ScheduleBroken, _log_broken)
    events.subscribe(LeadChanged, _log_lead)


def _log_ends(batch: list[AttemptEnded]) -> None:
    if _lines is not None and _lines.serves(attempts):
        least = attempts.getEffectiveLevel()
        leveled = [(_level(one), one) for one in batch]
        _lines.write([(_NAMES[level], _EVENT[one.state], one) for level, one in leveled if level >= least])
        return
    for one in batch:
        level = _level(one)
        if not attempts.isEnabledFor(level):
            continue
        fields: dict[str, Any] = {
            "run_id": str(one.run_id),
            "kind": one.kind,
            "queue": one.queue,
            "attempt": one.attempt,
            "outcome": one.outcome.value,
            "state": one.state.value,
            "duration_ms": round(one.elapsed_seconds * 1000, 1),
            "correlation_id": one.correlation_id or str(one.run_id),
        }
        if one.cause:
            fields["cause"] = one.cause.value
        if one.retry_at:
            fields["retry_at"] = one.retry_at.isoformat()
        if one.error_type:
            fields["error_type"] = one.error_type
            fields["error_message"] = one.error_message
            fields["fingerprint"] = one.fingerprint
        attempts.log(level, _EVENT[one.state], extra=fields)


_EVENT = {
    RunState.SUCCEEDED: "Run succeeded.",
    RunState.QUEUED: "Run will be tried again.",
    RunState.DEAD: "Run is dead.",
    RunState.CANCELLED: "Run was cancelled.",
}


_NAMES = {level: logging.getLevelName(level).lower() for level in (logging.INFO, logging.WARNING, logging.ERROR)}


def _level(one: AttemptEnded) -> int:
    if one.state is RunState.DEAD:
        return logging.ERROR
    return logging.WARNING if one.state is RunState.QUEUED and one.error_type else logging.INFO


def _log_starts(batch: list[AttemptStarted]) -> None:
    for one in batch:
        attempts.info(
            "Attempt started.",
            extra={
                "run_id": str(one.run_id),
                "kind": one.kind,
                "queue": one.queue,
                "attempt": one.attempt,
                "correlation_id": one.correlation_id or str(one.run_id),
            },
        )


def _log_refusals(batch: list[ResultRefused]) -> None:
    for one in batch:
        ledger.warning(
            "A result was refused: the lease was lost.",
            extra={"run_id": str(one.run_id), "kind": one.kind, "attempt": one.attempt, "outcome": one.outcome.value},
        )


def _log_failures(batch: list[ServiceFailed]) -> None:
    for one in batch:
        ledger.warning(
            "A service failed.", extra={"service": one.service, "operation": one.operation, "reason": one.error}
        )


def _log_sweeps(batch: list[RunsSwept]) -> None:
    for one in batch:
        ledger.info("Runs were swept.", extra={"duty": one.duty, "runs": one.runs})


def _log_fired(batch: list[SlotFired]) -> None:
    for one in batch:
        scheduler.info(
            "Slot fired.",
            extra={
                "schedule": one.schedule,
                "kind": one.kind,
                "slot_at": one.slot_at.isoformat(),
                "run_id": str(one.run_id),
                "late_ms": round(one.lateness_seconds * 1000),
            },
        )


def _log_passed(batch: list[SlotPassed]) -> None:
    for one in batch:
        scheduler.log(
            logging.WARNING if one.state == "missed" else logging.INFO,
            "Slot made no run.",
            extra={
                "schedule": one.schedule,
                "kind": one.kind,
                "slot_at": one.slot_at.isoformat(),
                "state": one.state,
                "why": one.why,
                "older_missed": one.older_missed,
            },
        )


def _log_broken(batch: list[ScheduleBroken]) -> None:
    for one in batch:
        scheduler.error("A schedule cannot be read.", extra={"schedule": one.schedule, "problem": one.problem})


def _log_lead(batch: list[LeadChanged]) -> None:
    for one in batch:
        scheduler.info("Leading." if one.is_leading else "Standing by.", extra={"scheduler": one.holder})


def _add_context(logger: Any, name: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    run = current_run.get()
    if run is not None:
        fields.setdefault("run_id", str(run.id))
        fields.setdefault("kind", run.kind)
    value = correlation_id.get()
    if value is not None:
        fields.setdefault("correlation_id", value)
    return fields


def _one_line(logger: Any, name: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What comes from data cannot begin a line of its own, nor steer the terminal."""
    for key, value in fields.items():
        if isinstance(value, str) and key != "exception" and not value.isprintable():
            fields[key] = value.encode("unicode_escape").decode()
    return fields
