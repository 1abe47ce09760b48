"""Finishes what workers of an older release left open: they end members and parents without telling those that wait.

Such a worker knows nothing of batches and ``after=``. What it ended is final, so the sweep does the rest of it, and
marks the batches that it counted.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Float, and_, bindparam, case, func, or_, select, update

from jobs.database.models import JobBatch, JobParent, JobRun, aliased
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.ledger.batches.counts import Delta, apply
from jobs.ledger.batches.parents import HELD_ON
from jobs.ledger.records import Freed
from jobs.states import LIVE, Hold, RunState


def open_batches(
    session: Executor, *, older_than: timedelta, after: UUID | None, limit: int, now: datetime | None = None
) -> list[UUID]:
    """Batches that have not ended, in the order of their ids; ``after`` is the last of the previous page."""
    since = plus_seconds(ledger_now(), -bindparam("age_seconds", type_=Float()))
    query = select(JobBatch.id).where(
        JobBatch.ended_at.is_(None), JobBatch.sealed_at.is_not(None), JobBatch.created_at < since
    )
    if after is not None:
        query = query.where(JobBatch.id > after)
    rows = session.scalars(
        query.order_by(JobBatch.id).limit(limit), {"age_seconds": older_than.total_seconds(), "now": now}
    )
    return list(rows)


def close_hung(session: Executor, batch_id: UUID, *, now: datetime | None = None) -> list[Freed] | None:
    """Count a batch anew if none of its members is live, which ends it. Returns the runs that this made ready.

    None if it has ended, or has live members: their ends count it.
    """
    locked = session.execute(
        select(JobBatch.pending, JobBatch.dead, JobBatch.cancelled)
        .where(JobBatch.id == batch_id, JobBatch.ended_at.is_(None), JobBatch.sealed_at.is_not(None))
        .with_for_update()
    ).one_or_none()
    if locked is None:
        return None
    # With the row locked, each end that is committed has counted it, and no other end is committed before this.
    live, dead, cancelled = _members(session, batch_id)
    if live or not locked.pending:
        return None
    session.execute(
        update(JobBatch).where(JobBatch.id == batch_id).values(recounted_at=ledger_now()),
        {"now": now},
    )
    delta = Delta(pending=-locked.pending, dead=dead - locked.dead, cancelled=cancelled - locked.cancelled)
    freed = apply(session, {batch_id: delta}, because_of={}, now=now)
    return [one for some in freed.values() for one in some]


def forgotten_dependents(
    session: Executor, *, older_than: timedelta, limit: int, now: datetime | None = None
) -> list[UUID]:
    """Runs that wait for their parents although all of these have ended, and none of them holds its run back."""
    since = plus_seconds(ledger_now(), -bindparam("age_seconds", type_=Float()))
    parent = aliased(JobRun)
    holds = and_(JobParent.on_dead == "hold", parent.state != RunState.SUCCEEDED.value)
    waits_rightly = (
        select(JobParent.parent_id)
        .join(parent, parent.id == JobParent.parent_id)
        .where(JobParent.run_id == JobRun.id, or_(parent.state.in_(sorted(LIVE)), holds))
        .correlate(JobRun)
        .exists()
    )
    rows = session.scalars(
        select(JobRun.id)
        .where(
            JobRun.state == RunState.QUEUED.value,
            JobRun.hold == Hold.WAITING.value,
            JobRun.held_on == HELD_ON,
            JobRun.held_at < since,
            ~waits_rightly,
        )
        .limit(limit),
        {"age_seconds": older_than.total_seconds(), "now": now},
    )
    return sorted(rows)


def recounted_batches(
    session: Executor, *, within: timedelta, limit: int, now: datetime | None = None
) -> list[tuple[UUID, str]]:
    """Batches that ``close_hung`` ended within this span, the latest first: id and name."""
    since = plus_seconds(ledger_now(), -bindparam("age_seconds", type_=Float()))
    rows = session.execute(
        select(JobBatch.id, JobBatch.name)
        .where(JobBatch.ended_at >= since, JobBatch.recounted_at.is_not(None))
        .order_by(JobBatch.ended_at.desc())
        .limit(limit),
        {"age_seconds": within.total_seconds(), "now": now},
    )
    return [(row.id, row.name) for row in rows]


def _members(session: Executor, batch_id: UUID) -> tuple[int, int, int]:
    """How many members, inner batches among them, are live, dead and cancelled."""
    runs = session.execute(
        select(
            func.count(case((JobRun.finished_at.is_(None), 1))),
            func.count(case((JobRun.state == RunState.DEAD.value, 1))),
            func.count(case((JobRun.state == RunState.CANCELLED.value, 1))),
        ).where(JobRun.batch_id == batch_id)
    ).one()
    inner = session.execute(
        select(
            func.count(case((JobBatch.ended_at.is_(None), 1))),
            func.count(case((JobBatch.dead > 0, 1))),
            func.count(case((JobBatch.cancelled > 0, 1))),
        ).where(JobBatch.parent_id == batch_id)
    ).one()
    live, dead, cancelled = (int(one) + int(other) for one, other in zip(runs, inner, strict=True))
    return live, dead, cancelled
