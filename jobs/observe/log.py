"""Logs: JSON for machines, readable on a terminal; one line an attempt, when it is settled. Never arguments."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import TextIO

from jobs.clock import SystemClock
from jobs.definition import registry
from jobs.events import (
    AttemptEnded,
    AttemptStarted,
    Events,
    LeadChanged,
    ResultRefused,
    RunDeadLettered,
    RunsSwept,
    ScheduleBroken,
    ServiceFailed,
    SlotFired,
    SlotPassed,
)
from jobs.observe import breaker_log
from jobs.observe.json_lines import line, success_line
from jobs.observe.log_format import LineHandler, direct_logging, is_json, moment
from jobs.observe.outages import Outages
from jobs.settings import Settings
from jobs.states import Outcome, RunState

attempts = logging.getLogger("jobs.attempt")
ledger = logging.getLogger("jobs.ledger")
scheduler = logging.getLogger("jobs.scheduler")

SLOW_SHARE = 0.8
"""An attempt that took more than this share of its time limit causes a warning. Source: decision."""
SHORTEST_SLOW_SECONDS = 0.05
"""Shorter attempts never count as slow: limits are not that short, and skipping the check saves time."""

_clock = SystemClock()

Field = tuple[str, str | int | float | None]

_json: LineHandler | None = None
"""Where attempt lines are written directly; None if they go through ``logging`` one by one."""


def configure_logging(settings: Settings, *, stream: TextIO | None = None, threaded: bool = True) -> None:
    """Send every log line of this process, the application's too, to ``stream`` (stderr) in one format.

    Args:
        threaded: False for a process that will fork, and must have one thread.
    """
    global _json
    out = stream if stream is not None else sys.stderr
    said = {"log_level": settings.log_level, "log_format": settings.log_format}
    handler = direct_logging(**said, stream=out, threaded=threaded)
    _json = handler if is_json(settings.log_format, handler.stream) else None


def subscribe(events: Events) -> None:
    """Subscribe to the events that are logged."""
    events.subscribe(AttemptEnded, _log_ends)
    events.subscribe(AttemptStarted, _log_starts)
    events.subscribe(RunDeadLettered, _log_dead_lettered)
    events.subscribe(ResultRefused, _log_refusals)
    events.subscribe(ServiceFailed, Outages(_clock).log)
    events.subscribe(RunsSwept, _log_sweeps)
    breaker_log.subscribe(events)
    events.subscribe(SlotFired, _log_fired)
    events.subscribe(SlotPassed, _log_passed)
    events.subscribe(ScheduleBroken, _log_broken)
    events.subscribe(LeadChanged, _log_lead)


def _log_ends(batch: list[AttemptEnded]) -> None:
    # The application may have added handlers or filters: then each line goes through ``logging``.
    if _json is None or not attempts.propagate or attempts.handlers or attempts.filters:
        for one in batch:
            for level, event, fields in _entries(one):
                attempts.log(level, event, extra={name: value for name, value in fields if value is not None})
        return
    now = moment(_clock.now())
    wants_info = attempts.isEnabledFor(logging.INFO)
    lines = []
    for one in batch:
        if one.state is RunState.SUCCEEDED and not _is_slow(one):
            if wants_info:
                lines.append(success_line(one, now=now))
            continue
        entries = (entry for entry in _entries(one) if attempts.isEnabledFor(entry[0]))
        lines += [line(level, event, fields, now=now) for level, event, fields in entries]
    if lines:
        _json.put("".join(lines))


def _entries(one: AttemptEnded) -> Iterator[tuple[int, str, list[Field]]]:
    fields: list[Field] = [
        ("run_id", str(one.run_id)),
        ("kind", one.kind),
        ("queue", one.queue),
        ("attempt", one.attempt),
        ("outcome", one.outcome.value),
        ("state", one.state.value),
        ("started_at", one.started_at.isoformat()),
        ("duration_ms", round(one.elapsed_seconds * 1000, 1)),
        ("correlation_id", one.correlation_id or str(one.run_id)),
        ("cause", one.cause.value if one.cause else None),
        ("retry_at", one.retry_at.isoformat() if one.retry_at else None),
    ]
    if one.error_type:
        fields += [
            ("error_type", one.error_type),
            ("error_message", one.error_message),
            ("fingerprint", one.fingerprint),
        ]
    yield (
        _level(one),
        "Run waits" if one.outcome is Outcome.SUSPENDED and one.state is RunState.QUEUED else _EVENT[one.state],
        fields,
    )
    if _is_slow(one):
        limit = _limit_seconds(one.kind) or 0.0
        slow = [*fields[:4], ("limit_ms", limit * 1000), *fields[7:9]]
        yield logging.WARNING, "Attempt took most of its time limit", slow


_EVENT = {
    RunState.SUCCEEDED: "Run succeeded",
    RunState.QUEUED: "Run will be retried",
    RunState.DEAD: "Run is dead",
    RunState.CANCELLED: "Run was cancelled",
}


def _level(one: AttemptEnded) -> int:
    if one.state is RunState.DEAD:
        return logging.ERROR
    return logging.WARNING if one.state is RunState.QUEUED and one.error_type else logging.INFO


def _is_slow(one: AttemptEnded) -> bool:
    if one.elapsed_seconds < SHORTEST_SLOW_SECONDS:
        return False
    limit = _limit_seconds(one.kind)
    return limit is not None and one.elapsed_seconds > limit * SLOW_SHARE


def _limit_seconds(kind: str) -> float | None:
    options = getattr(registry.find(kind), "options", None)
    limit = options.timeout if options is not None else None
    return limit.total_seconds() if limit is not None else None


def _log_starts(batch: list[AttemptStarted]) -> None:
    for one in batch:
        fields: dict[str, object] = {
            "run_id": str(one.run_id),
            "kind": one.kind,
            "queue": one.queue,
            "attempt": one.attempt,
            "correlation_id": one.correlation_id or str(one.run_id),
        }
        if one.going_seconds:
            fields["going_seconds"] = round(one.going_seconds, 1)
        attempts.info("Attempt still running" if one.going_seconds else "Attempt started", extra=fields)


def _log_dead_lettered(batch: list[RunDeadLettered]) -> None:
    for one in batch:
        attempts.error(
            "Run is dead",
            extra={
                "run_id": str(one.run_id),
                "kind": one.kind,
                "queue": one.queue,
                "cause": one.cause.value,
                "correlation_id": one.correlation_id or str(one.run_id),
            },
        )


def _log_refusals(batch: list[ResultRefused]) -> None:
    for one in batch:
        ledger.warning(
            "Result refused: lease lost",
            extra={"run_id": str(one.run_id), "kind": one.kind, "attempt": one.attempt, "outcome": one.outcome.value},
        )


def _log_sweeps(batch: list[RunsSwept]) -> None:
    for one in batch:
        ledger.info("Runs swept", extra={"duty": one.duty, "runs": one.runs})


def _log_fired(batch: list[SlotFired]) -> None:
    for one in batch:
        scheduler.info(
            "Slot fired",
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
            "Slot made no run",
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
        scheduler.error("Schedule cannot be read", extra={"schedule": one.schedule, "problem": one.problem})


def _log_lead(batch: list[LeadChanged]) -> None:
    for one in batch:
        scheduler.info(
            "Scheduler leading" if one.is_leading else "Scheduler standing by", extra={"scheduler": one.holder}
        )
