"""Targets of queues: how long a ready run of one may wait before the queue is late."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jobs.app import App
from jobs.database.sql import Executor
from jobs.errors import Conflict, SelectorRefused
from jobs.ledger.operators import targets
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control.pause import check_known

TARGET = "target:"
"""The target of an action on a queue's target: this and the queue."""
MAX_LATENCY = timedelta(days=366)
"""The greatest latency target. Source: decision; what may wait for longer needs no alert."""


def set_target(
    app: App,
    operator: Operator,
    queue: str,
    *,
    latency: timedelta,
    reason: str | None = None,
    is_new: bool = False,
) -> int:
    """Set how long a ready run of ``queue`` may wait. Returns it in seconds. Metrics and alerts use it from then on.

    Raises:
        NotFound: no run and no worker knows the queue, and ``is_new`` is false.
        SelectorRefused: ``latency`` is not a whole number of seconds from one second to ``MAX_LATENCY``.
    """
    seconds = round(latency.total_seconds())
    if timedelta(seconds=seconds) != latency or not timedelta(seconds=1) <= latency <= MAX_LATENCY:
        raise SelectorRefused("A latency target is a whole number of seconds, from one second to 366 days.")
    check_known(app, operator, "queue", queue, reason, is_new=is_new)
    with app.database.write(urgent=True) as connection:
        _change(connection, operator, "target", queue, reason, seconds)
    return seconds


def clear_target(app: App, operator: Operator, queue: str, *, reason: str | None = None) -> int:
    """Clear the target of ``queue``: JOBS_LATENCY_TARGET holds again. Returns what was set, in seconds.

    Raises:
        Conflict: none is set.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = _change(connection, operator, "clear_target", queue, reason, None)
        if before is None:
            raise Conflict(f"No target is set for the queue {queue}.")
    return before


def undo_target(session: Executor, action: dict[str, Any]) -> list[Freed]:
    """Put back what was set before an action. It makes no run ready.

    Raises:
        Conflict: it has been changed since.
    """
    queue = action["target"].removeprefix(TARGET)
    if targets.latency_target(session, queue) != _seconds(action["after"]):
        raise Conflict(f"The target of the queue {queue} has been changed since.", hint="Nothing was changed.")
    targets.set_latency_target(session, queue, _seconds(action["before"]))
    return []


def _change(
    connection: Executor, operator: Operator, verb: str, queue: str, reason: str | None, seconds: int | None
) -> int | None:
    """Returns what was set before."""
    before = targets.latency_target(connection, queue)
    targets.set_latency_target(connection, queue, seconds)
    record_finished(
        connection, verb, operator, target=f"{TARGET}{queue}", reason=reason, before=_recorded(before),
        after=_recorded(seconds),
    )  # fmt: skip
    return before


def _recorded(seconds: int | None) -> dict[str, Any] | None:
    return None if seconds is None else {"latency_seconds": seconds}


def _seconds(recorded: dict[str, Any] | None) -> int | None:
    return None if recorded is None else int(recorded["latency_seconds"])
