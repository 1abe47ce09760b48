"""Retention of queues: how long their ended runs are kept, before what classes and settings say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.options import MAX_RETAIN
from jobs.errors import Conflict, SelectorRefused
from jobs.ledger.operators.queue_retention import Kept, read_kept, retention_of_queue, set_retention, written_kept
from jobs.ledger.queries.pagination import RunCount, count_up_to
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control.pause import check_known
from jobs.operations.control.retain_time import RetainTime
from jobs.states import RunState

TARGET = "retention:"
"""The target of an action on how long runs of a queue are kept: this and the queue."""
MOST_COUNTED = 10_000
_NOT_SET = object()

Times = Mapping[RunState, RetainTime]
"""By final state. A state that is not there stays as it is."""


def retain_queue(
    app: App, operator: Operator, queue: str, times: Times, *, reason: str | None = None, is_new: bool = False
) -> Kept:
    """Set, or clear, how long ended runs of ``queue`` are kept; returns what is set then. None is for ever.

    The pruner follows at its next turn. What it has deleted does not come back by an undo.

    Raises:
        NotFound: no run and no worker knows the queue, and ``is_new`` is false.
        SelectorRefused: no state is given, or a time is not above zero or longer than a hundred years.
        Conflict: there was nothing to clear.
    """
    for time in times.values():
        if isinstance(time, timedelta) and not timedelta(0) < time <= MAX_RETAIN:
            raise SelectorRefused("A retention time is above zero, and at most a hundred years.")
    if not times:
        raise SelectorRefused("Give a time for at least one of succeeded, cancelled and dead runs.")
    if any(time != "clear" for time in times.values()):
        check_known(app, operator, "queue", queue, reason, is_new=is_new)
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = retention_of_queue(connection, queue)
        if all(time == "clear" and state not in before for state, time in times.items()):
            raise Conflict(f"No such retention is set for the queue {queue}.")
        set_now = {state: None if time == "never" else time for state, time in times.items() if time != "clear"}
        after = {state: span for state, span in before.items() if state not in times} | set_now
        _change(connection, operator, "retain", queue, reason, before, after)
    return after


def clear_retention(app: App, operator: Operator, queue: str, *, reason: str | None = None) -> Kept:
    """Clear all that is set for ``queue``: what classes and settings say holds again. Returns what was set.

    Raises:
        Conflict: nothing is set.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = retention_of_queue(connection, queue)
        if not before:
            raise Conflict(f"No retention is set for the queue {queue}.")
        _change(connection, operator, "clear_retention", queue, reason, before, {})
    return before


def over_their_time(app: App, operator: Operator, queue: str, times: Times) -> RunCount:
    """How many runs of ``queue`` are over these times now, so that the pruner may delete them; up to 10,000.

    Runs of kinds with a shorter time, and those in history, are among them.
    """
    operator.need(Permission.RUNS_READ)
    number = 0
    with app.database.read_both() as connection:
        for state, time in times.items():
            if isinstance(time, timedelta):
                over = Selector(queues=(queue,), states=(state.value,), until=app.clock.now() - time)
                number += count_up_to(connection, over, most=MOST_COUNTED).number
    return RunCount(min(number, MOST_COUNTED), number >= MOST_COUNTED)


def undo_retention(session: Executor, action: dict[str, Any]) -> list[Freed]:
    """Put back what was set before an action. It makes no run ready, and brings no deleted run back.

    Raises:
        Conflict: it has been changed since.
    """
    queue = action["target"].removeprefix(TARGET)
    before, after = read_kept(action["before"]), read_kept(action["after"])
    now = retention_of_queue(session, queue)
    changed = [
        state for state in {**before, **after} if before.get(state, _NOT_SET) != after.get(state, _NOT_SET)
    ]  # fmt: skip
    if any(now.get(state, _NOT_SET) != after.get(state, _NOT_SET) for state in changed):
        raise Conflict(f"The retention of the queue {queue} has been changed since.", hint="Nothing was changed.")
    kept = {state: span for state, span in now.items() if state not in changed}
    set_retention(session, queue, kept | {state: before[state] for state in changed if state in before})
    return []


def _change(
    connection: Executor, operator: Operator, verb: str, queue: str, reason: str | None, before: Kept, after: Kept
) -> None:
    set_retention(connection, queue, after)
    record_finished(
        connection, verb, operator, target=f"{TARGET}{queue}", reason=reason, before=written_kept(before) or None,
        after=written_kept(after) or None,
    )  # fmt: skip
