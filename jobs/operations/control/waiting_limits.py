"""Limits of queues: how many runs may wait before an enqueue is refused."""

from __future__ import annotations

from typing import Any

from jobs.app import App
from jobs.database.sql import Executor
from jobs.definition.max_waiting import MAX_WAITING
from jobs.errors import Conflict, SelectorRefused
from jobs.ledger.operators.queue_values import queue_value, set_max_waiting
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control.pause import check_known

TARGET = "waiting:"
"""The target of an action on how many runs of a queue may wait: this and the queue."""


def limit_waiting(
    app: App, operator: Operator, queue: str, *, most: int, reason: str | None = None, is_new: bool = False
) -> int:
    """Set how many runs may wait in ``queue``. Every process that enqueues follows it within five seconds.

    Raises:
        NotFound: no run and no worker knows the queue, and ``is_new`` is false.
        SelectorRefused: ``most`` is not from 1 to ``MAX_WAITING``.
    """
    if not 1 <= most <= MAX_WAITING:
        raise SelectorRefused(f"A limit of waiting runs is a whole number from 1 to {MAX_WAITING:,}.")
    check_known(app, operator, "queue", queue, reason, is_new=is_new)
    with app.database.write(urgent=True) as connection:
        _change(connection, operator, "limit_waiting", queue, reason, most)
    app.backlogs.forget()
    return most


def clear_waiting_limit(app: App, operator: Operator, queue: str, *, reason: str | None = None) -> int:
    """Remove the limit of ``queue``. Returns what it was.

    Raises:
        Conflict: none is set.
    """
    operator.need(Permission.QUEUES_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = _change(connection, operator, "clear_waiting_limit", queue, reason, None)
        if before is None:
            raise Conflict(f"The queue {queue} has no limit of waiting runs.")
    app.backlogs.forget()
    return before


def undo_waiting_limit(session: Executor, action: dict[str, Any]) -> list[Freed]:
    """Put back what was set before an action. It makes no run ready.

    Raises:
        Conflict: it has been changed since.
    """
    queue = action["target"].removeprefix(TARGET)
    if queue_value(session, "max_waiting", queue) != _number(action["after"]):
        raise Conflict(
            f"The limit of waiting runs of the queue {queue} has been changed since.", hint="Nothing was changed."
        )
    set_max_waiting(session, queue, _number(action["before"]))
    return []


def _change(
    connection: Executor, operator: Operator, verb: str, queue: str, reason: str | None, most: int | None
) -> int | None:
    """Returns what was set before."""
    before = queue_value(connection, "max_waiting", queue)
    set_max_waiting(connection, queue, most)
    record_finished(
        connection, verb, operator, target=f"{TARGET}{queue}", reason=reason, before=_recorded(before),
        after=_recorded(most),
    )  # fmt: skip
    return before


def _recorded(most: int | None) -> dict[str, Any] | None:
    return None if most is None else {"max_waiting": most}


def _number(recorded: dict[str, Any] | None) -> int | None:
    return None if recorded is None else int(recorded["max_waiting"])
