"""Limits of queues: how many runs may wait before an enqueue is refused."""

from __future__ import annotations

from jobs.app import App
from jobs.definition.max_waiting import MAX_WAITING
from jobs.errors import SelectorRefused
from jobs.operations.audit.operator import Operator
from jobs.operations.control.queue_values import SetValue

WAITING = SetValue(
    column="max_waiting",
    recorded_as="max_waiting",
    target="waiting:",
    verbs=("limit_waiting", "clear_waiting_limit"),
    called="limit of waiting runs",
    none_set="The queue {queue} has no limit of waiting runs.",
)


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
    WAITING.set(app, operator, queue, most, reason=reason, is_new=is_new)
    app.backlogs.forget()
    return most


def clear_waiting_limit(app: App, operator: Operator, queue: str, *, reason: str | None = None) -> int:
    """Remove the limit of ``queue``. Returns what it was.

    Raises:
        Conflict: none is set.
    """
    before = WAITING.clear(app, operator, queue, reason=reason)
    app.backlogs.forget()
    return before
