"""Cancel: at once for a waiting run; a flag for a running one, which has priority when its attempt ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, update

from jobs.database.models import JobRun
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.holds import no_longer_held
from jobs.ledger.limits.reassign import leave_slots
from jobs.ledger.runs.end_effects import apply_end_effects
from jobs.states import LIVE, RunState, checked_move

_CANCELLED = checked_move(RunState.QUEUED, RunState.CANCELLED)


def cancel(
    session: Executor, run_id: UUID, *, reason: str | None = None, now: datetime | None = None
) -> RunState | None:
    """Cancel a live run. Returns its state now (``cancelled``, or ``running`` until its worker reacts), or None."""
    return cancel_runs(session, [run_id], reason=reason, now=now).get(run_id)


def cancel_runs(
    session: Executor, run_ids: Sequence[UUID], *, reason: str | None = None, now: datetime | None = None
) -> dict[UUID, RunState]:
    """Cancel the live ones, in one statement. Returns the state of each of them now."""
    is_queued = JobRun.state == RunState.QUEUED
    moved = session.execute(
        update(JobRun)
        .where(JobRun.id.in_(list(run_ids)), JobRun.state.in_(sorted(LIVE)))
        .values(
            state=case((is_queued, _CANCELLED), else_=JobRun.state),
            finished_at=case((is_queued, ledger_now()), else_=None),
            state_at=case((is_queued, ledger_now()), else_=JobRun.state_at),
            cancel_requested_at=ledger_now(),
            cancel_reason=reason,
            **no_longer_held(),
        )
        .returning(JobRun.id, JobRun.state, JobRun.has_followups)
        .execution_options(synchronize_session=False),
        {"now": now},
    ).all()
    ended = sorted(row.id for row in moved if row.has_followups and row.state == RunState.CANCELLED)
    if ended:
        apply_end_effects(session, ended, now=now)
    # A parked run that was just given a slot may be among them.
    leave_slots(session, [row.id for row in moved if row.state == RunState.CANCELLED], now=now)
    return {row.id: RunState(row.state) for row in moved}
