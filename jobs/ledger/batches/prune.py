"""Deletes batches that nobody needs any more, and keeps the runs that a live run still reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Float, and_, bindparam, delete, or_, select

from jobs.database.models import JobBatch, JobFollowup, JobParent, JobRun, aliased
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.ledger.batches.counts import GATHER
from jobs.states import LIVE


def is_read_later() -> ColumnElement[bool]:
    """Whether a live run still reads the result of this one: it gathered it, or waits for it."""
    parent, dependent = aliased(JobRun), aliased(JobRun)
    is_parent = (
        select(JobParent.run_id)
        .join(dependent, dependent.id == JobParent.run_id)
        .where(JobParent.parent_id == JobRun.id, dependent.state.in_(sorted(LIVE)))
        .correlate(JobRun)
        .exists()
    )
    is_child = (
        select(JobBatch.id)
        .join(parent, parent.id == JobBatch.run_id)
        .where(JobBatch.id == JobRun.batch_id, JobBatch.form == GATHER, parent.state.in_(sorted(LIVE)))
        .correlate(JobRun)
        .exists()
    )
    return or_(is_child, and_(JobRun.has_followups, is_parent))


def forget_gathers(session: Executor, run_ids: Sequence[UUID]) -> None:
    """Delete the gathers of runs that are deleted. Children that live on belong to no batch then."""
    session.execute(delete(JobBatch).where(JobBatch.run_id.in_(list(run_ids)), JobBatch.form == GATHER))


def prune_batches(session: Executor, *, after: timedelta, limit: int = 500, now: datetime | None = None) -> int:
    """Delete batches of applications that ended longer ago than ``after`` and have no members left; their number."""
    inner = aliased(JobBatch)
    old = (
        select(JobBatch.id)
        .where(
            JobBatch.form != GATHER,
            JobBatch.ended_at < plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float())),
            ~select(JobRun.id).where(JobRun.batch_id == JobBatch.id).correlate(JobBatch).exists(),
            ~select(inner.id).where(inner.parent_id == JobBatch.id).correlate(JobBatch).exists(),
        )
        .order_by(JobBatch.ended_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=JobBatch)
    )
    ids: Sequence[UUID] = session.scalars(old, {"after_seconds": after.total_seconds(), "now": now}).all()
    for model, column in ((JobFollowup, JobFollowup.run_id), (JobBatch, JobBatch.id)):
        if ids:
            session.execute(delete(model).where(column.in_(ids)))
    return len(ids)
