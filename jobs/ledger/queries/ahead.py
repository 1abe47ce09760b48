"""Counts the runs that are claimed before a queued run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, func, literal, literal_column, or_, select

from jobs.database.models import JobRun, UtcDateTime
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.run_records import RunRecord


def runs_before(session: Executor, run: RunRecord, *, most: int = 10_000, now: datetime | None = None) -> int:
    """How many due runs of its queue are claimed before this one; counted up to ``most``."""
    moment = literal(run.run_at, UtcDateTime())
    earlier = and_(
        JobRun.priority == run.priority,
        or_(JobRun.run_at < moment, and_(JobRun.run_at == moment, JobRun.id < run.id)),
    )
    before = (
        select(JobRun.id)
        .where(
            JobRun.queue == run.queue,
            JobRun.state == literal_column("'queued'"),
            JobRun.run_at <= ledger_now(),
            or_(JobRun.priority < run.priority, earlier),
        )
        .limit(most)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(before), {"now": now}) or 0
