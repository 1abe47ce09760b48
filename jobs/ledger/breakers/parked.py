"""Runs that breakers have parked: which comes next, and how they become ready."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, String, bindparam, literal_column, select, text, update

from jobs.database.models import ON_HOLD, JobRun
from jobs.database.sql import Executor
from jobs.definition.breakers import Slice
from jobs.ledger.breakers.slices import held_on
from jobs.ledger.holds import release_held
from jobs.ledger.pauses import is_paused
from jobs.ledger.records import Freed
from jobs.states import Hold

FREE_BATCH = 1000
"""Runs that one transaction makes ready. Source: decision; as many as one transaction of upkeep moves elsewhere."""


def free_parked(session: Executor, one: Slice, *, now: datetime | None = None) -> list[Freed]:
    """Make the next parked runs of a slice ready, by priority and then by when they were due; a batch at most.

    Passes over runs that another transaction has locked.
    """
    ids = _next(session, one, FREE_BATCH, passing_paused=False)
    freed = release_held(session, ids, now=now)
    return sorted(freed, key=lambda run: (run.priority, run.run_at, run.run_id.int))


def next_parked(session: Executor, one: Slice, count: int) -> list[UUID]:
    """The next parked runs of a slice that could be claimed now, locked."""
    return list(_next(session, one, count, passing_paused=True))


def make_due(session: Executor, run_ids: Sequence[UUID], at: datetime) -> list[Freed]:
    """Let parked runs become ready by time alone at a moment; they stay parked until then."""
    freed = []
    for run_id in run_ids:
        row = session.execute(
            update(JobRun)
            .where(JobRun.id == run_id, JobRun.state == "queued", JobRun.hold == Hold.PARKED.value)
            .values(run_at=at)
            .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at)
        ).one_or_none()
        if row is not None:
            freed.append(Freed(*row))
    return freed


def _next(session: Executor, one: Slice, count: int, *, passing_paused: bool) -> Sequence[UUID]:
    return session.scalars(_parked(passing_paused), {"held": held_on(one), "count": count}).all()


@cache
def _parked(passing_paused: bool) -> Any:
    query = select(JobRun.id).where(
        text(ON_HOLD),
        JobRun.hold == literal_column(f"'{Hold.PARKED.value}'"),
        JobRun.held_on == bindparam("held", type_=String()),
    )
    if passing_paused:
        query = query.where(~is_paused())
    return (
        query.order_by(JobRun.priority, JobRun.due_at, JobRun.id)
        .limit(bindparam("count", type_=Integer()))
        .with_for_update(skip_locked=True)
    )
