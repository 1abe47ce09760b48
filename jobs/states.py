"""The life of a run. Moves are data: code, CHECK constraints, tests and documentation read this one.

          enqueue                    expired before its first start
             v      claim            +---------------------------> DEAD ------- replay -> QUEUED
replay -> QUEUED ----------> RUNNING |
  ^          |  <----------     |  \\-- done ---------------------> SUCCEEDED
  |          |   retry, snooze, |  \\-- gave up, budget spent -----> DEAD
  |          |   release, rescue|  \\-- cancelled ----------------> CANCELLED -- replay -> QUEUED
  |          +--- cancel --------------------------------------> CANCELLED
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum


class _Word(StrEnum):
    """A stored word that hashes as a string: an Enum's own hash is computed in Python, many times per run."""

    __hash__ = str.__hash__


class RunState(_Word):
    """Where a run stands. Every state but ``queued`` and ``running`` is final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"


MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED, RunState.DEAD}),
    RunState.RUNNING: frozenset({RunState.SUCCEEDED, RunState.QUEUED, RunState.DEAD, RunState.CANCELLED}),
    RunState.DEAD: frozenset({RunState.QUEUED}),
    RunState.CANCELLED: frozenset({RunState.QUEUED}),
    RunState.SUCCEEDED: frozenset(),
}
"""The states that a run may move to from each state. Only replay leaves DEAD and CANCELLED."""


def checked_move(before: RunState, after: RunState) -> str:
    """The stored word for ``after``. The ledger's statements take the states they write from here, at import.

    Raises:
        ValueError: ``MOVES`` has no move from ``before`` to ``after``.
    """
    if after not in MOVES[before]:
        raise ValueError(f"A run must not move from {before} to {after}: MOVES has no such move.")
    return after.value


FINAL = frozenset({RunState.SUCCEEDED, RunState.DEAD, RunState.CANCELLED})
LIVE = frozenset(RunState) - FINAL


class Hold(_Word):
    """Why a queued run that time alone does not make ready is held back."""

    PARKED = "parked"
    """A limit, a rate or a breaker has no room for it."""
    WAITING = "waiting"
    """It waits for other runs, for a signal, or for a moment that its job chose."""


HOLDS = frozenset(Hold)

FAR = datetime.max.replace(microsecond=999_998, tzinfo=UTC)
"""The end of the calendar: the ``run_at`` of a held run that time alone never makes ready.

A moment that a user gives is always earlier. One microsecond less than ``datetime.max``, which asyncpg stores as
``infinity``: psycopg cannot read that.
"""


class Outcome(_Word):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    GAVE_UP = "gave_up"
    SNOOZED = "snoozed"
    SUSPENDED = "suspended"
    RELEASED = "released"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"


CHARGED = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.OUT_OF_MEMORY})
"""Outcomes that spend the retry budget. An interruption is not a failure."""

CRASHES = frozenset({Outcome.CRASHED, Outcome.OUT_OF_MEMORY})
"""Outcomes that ended the whole process; they count towards poison."""


class Cause(_Word):
    """Why a run is dead."""

    EXHAUSTED = "exhausted"
    GAVE_UP = "gave_up"
    POISON = "poison"
    UNKNOWN_KIND = "unknown_kind"
    BAD_ARGUMENTS = "bad_arguments"
    EXPIRED = "expired"
    UNKNOWN_EFFECT = "unknown_effect"
    UNREADABLE = "unreadable"
