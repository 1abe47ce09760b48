"""What dramatiq's tools ask of a queue: flush it, count it, wait for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, func, or_, select, update

from jobs.models import JobRun
from jobs.sql import Executor, ledger_now
from jobs.states import RunState

_WAITS = JobRun.state == RunState.QUEUED.value


def cancel_waiting(session: Executor, queue: str, *, now: datetime | None = None) -> None:
    """Cancel every run that waits in ``queue``."""
    session.execute(
        update(JobRun)
        .where(JobRun.queue == queue, _WAITS)
        .values(state=RunState.CANCELLED.value, finished_at=ledger_now(), state_at=ledger_now())
        .execution_options(synchronize_session=False),
        {"now": now},
    )


def has_unfinished(session: Executor, queue: str) -> bool:
    """Whether a run of ``queue`` waits or is performed."""
    live = or_(_WAITS, JobRun.state == RunState.RUNNING.value)
    return bool(session.scalar(select(select(JobRun.id).where(JobRun.queue == queue, live).exists())))


def counts(session: Executor, queue: str, *, now: datetime | None = None) -> tuple[int, int, int]:
    """Runs of ``queue`` that are ready, that wait for their time, and that are dead."""
    is_due = JobRun.run_at <= ledger_now()
    row = session.execute(
        select(
            func.count().filter(and_(_WAITS, is_due)),
            func.count().filter(and_(_WAITS, ~is_due)),
            func.count().filter(JobRun.state == RunState.DEAD.value),
        ).where(JobRun.queue == queue, JobRun.deleted_at.is_(None)),
        {"now": now},
    ).one()
    return int(row[0]), int(row[1]), int(row[2])
