"""Holds the runs whose attempts ended as suspended, in the transaction that ends the attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.database.sql import Executor
from jobs.ledger.effects.waits import Suspension, hold_suspended
from jobs.ledger.records import AttemptResult, RecordedAttempt
from jobs.states import Outcome, RunState


def hold_waiting(
    session: Executor, settled: Sequence[tuple[AttemptResult, RecordedAttempt]], *, now: datetime | None = None
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Hold the suspended ones among ``settled`` that still have something to wait for; returns all, with that fact."""
    waits = [
        Suspension(one.run_id, result.held_on, result.held_until, result.awaits)
        for result, one in settled
        if one.outcome is Outcome.SUSPENDED and one.state is RunState.QUEUED and result.held_on is not None
    ]
    held = hold_suspended(session, waits, now=now)
    return [
        (result, one._replace(is_held=True, retry_at=held[one.run_id]) if one.run_id in held else one)
        for result, one in settled
    ]
