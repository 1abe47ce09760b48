"""Targets of queues: how long a ready run of one may wait before the queue is late."""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.errors import SelectorRefused
from jobs.operations.audit.operator import Operator
from jobs.operations.control.queue_values import SetValue

MAX_LATENCY = timedelta(days=366)
"""The greatest latency target. Source: decision; what may wait for longer needs no alert."""
LATENCY = SetValue(
    column="latency_target_seconds",
    recorded_as="latency_seconds",
    target="target:",
    verbs=("target", "clear_target"),
    called="target",
    none_set="No target is set for the queue {queue}.",
)


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
    LATENCY.set(app, operator, queue, seconds, reason=reason, is_new=is_new)
    return seconds


def clear_target(app: App, operator: Operator, queue: str, *, reason: str | None = None) -> int:
    """Clear the target of ``queue``: JOBS_LATENCY_TARGET holds again. Returns what was set, in seconds.

    Raises:
        Conflict: none is set.
    """
    return LATENCY.clear(app, operator, queue, reason=reason)
