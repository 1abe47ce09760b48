"""Fault points: named moments between two commits, at which a test may stop or kill the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobs.ledger.batches.counts import CHILDREN_PREFIX
from jobs.ledger.records import AttemptResult, RecordedAttempt

POINTS = (
    "gather:begun", "gather:children", "gather:sealed", "held:children", "freed:parent",
    "wait:begun", "held:signal", "wait:over",
)  # fmt: skip
"""Every name: one after each commit of ``gather`` and ``wait_for``, in the order in which a run comes to them.

The worker's settler comes to ``held:…`` and ``freed:…``, before it announces what it committed.
"""
STORED_POINTS = ("stored:begun", "stored:content", "stored:complete", "stored:removed", "stored:deleted")
"""The same of a stored value, from its upload to the deletion of its content."""

on_reached: Callable[[str], None] | None = None
"""What a test calls at each point; None in production."""


def reached(point: str) -> None:
    """This process has come to ``point``."""
    if on_reached is not None:
        on_reached(point)


def committed(settled: Iterable[tuple[AttemptResult, RecordedAttempt]]) -> None:
    """This process has committed these ends of attempts, and announces them next."""
    if on_reached is None:
        return
    for attempt_result, one in settled:
        if one.is_held:
            is_gather = (attempt_result.held_on or "").startswith(CHILDREN_PREFIX)
            on_reached("held:children" if is_gather else "held:signal")
        if one.followed_by:
            on_reached("freed:parent")
