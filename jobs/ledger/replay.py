"""Replay: reopen a run that gave up, with a fresh budget. The number of the next attempt goes on counting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import update

from jobs.ledger.records import Freed
from jobs.models import JobRun
from jobs.sql import Executor, ledger_now
from jobs.states import RunState

REPLAYABLE = (RunState.DEAD, RunState.CANCELLED)


def reopen(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> list[Freed]:
    """Put dead and cancelled runs back in their queues, due now. Returns those that moved."""
    rows = session.execute(
        update(JobRun)
        .where(JobRun.id.in_(list(run_ids)), JobRun.state.in_(REPLAYABLE), JobRun.deleted_at.is_(None))
        .values(
            state=RunState.QUEUED.value,
            cause=None,
            charged=0,
            crashes=0,
            abandonments=0,
            run_at=ledger_now(),
            expires_at=None,
            finished_at=None,
            cancel_requested_at=None,
            cancel_reason=None,
            worker=None,
            state_at=ledger_now(),
        )
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at)
        .execution_options(synchronize_session=False),
        {"now": now},
    )
    return [Freed(*row) for row in rows]
