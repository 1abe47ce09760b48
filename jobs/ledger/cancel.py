"""Cancel: at once for a run that waits; a flag for one that runs, which wins on every exit from running."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import case, update

from jobs.ledger.follow import follow
from jobs.models import JobRun
from jobs.sql import Executor, ledger_now
from jobs.states import LIVE, RunState


def cancel(
    session: Executor, run_id: UUID, *, reason: str | None = None, now: datetime | None = None
) -> RunState | None:
    """Cancel a live run. Returns where it now is (``cancelled``, or ``running`` until its worker hears), or None."""
    is_queued = JobRun.state == RunState.QUEUED
    moved = session.execute(
        update(JobRun)
        .where(JobRun.id == run_id, JobRun.state.in_(sorted(LIVE)))
        .values(
            state=case((is_queued, RunState.CANCELLED.value), else_=JobRun.state),
            finished_at=case((is_queued, ledger_now()), else_=None),
            state_at=case((is_queued, ledger_now()), else_=JobRun.state_at),
            cancel_requested_at=ledger_now(),
            cancel_reason=reason,
        )
        .returning(JobRun.state, JobRun.has_followups)
        .execution_options(synchronize_session=False),
        {"now": now},
    ).one_or_none()
    if moved is None:
        return None
    if moved.has_followups and moved.state == RunState.CANCELLED:
        follow(session, [run_id], now=now)
    return RunState(moved.state)
