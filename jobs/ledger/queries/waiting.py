"""Waiting runs that the ready index should contain. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    Integer,
    Select,
    SmallInteger,
    String,
    Uuid,
    and_,
    bindparam,
    exists,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)

from jobs.database.models import JobQueue, JobRun, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, one_of, plus_seconds
from jobs.ledger.records import Freed
from jobs.states import FAR

_IDS = RowBatch("wanted", id=Uuid())
_QUEUED = JobRun.state == literal_column("'queued'")


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A waiting run that a claim skipped. ``now`` is the ledger's moment, for comparison with ``run_at``."""

    run_id: UUID
    queue: str
    priority: int
    run_at: datetime
    kind: str
    is_paused: bool
    now: datetime


def unclaimed(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> list[Unclaimed]:
    """Those of ``run_ids`` that still wait: a claim by id did not take them, and they must stay in the index.

    Without held runs that time alone does not make ready: whoever ends their hold publishes them.
    """
    if not run_ids:
        return []
    dialect = dialect_of(session)
    rows = session.execute(_unclaimed(dialect), {**_IDS.rows(dialect, [(one,) for one in run_ids]), "now": now})
    return [Unclaimed(*row) for row in rows]


def overdue(session: Executor, *, after: timedelta, limit: int, now: datetime | None = None) -> list[Freed]:
    """Due runs that were not claimed for longer than ``after``: the first ones of each queue.

    At most ``limit`` of each queue and priority, so that one long queue does not hide another's.
    """
    rows = session.execute(
        _overdue(dialect_of(session)), {"after_seconds": after.total_seconds(), "limit": limit, "now": now}
    )
    return [Freed(*row) for row in rows]


def soon_due(session: Executor, *, within: timedelta, limit: int, now: datetime | None = None) -> list[Freed]:
    """Waiting runs that become due within this time: the first ones, at most ``limit`` of each queue and priority."""
    rows = session.execute(
        _soon_due(dialect_of(session)), {"within_seconds": within.total_seconds(), "limit": limit, "now": now}
    )
    return [Freed(*row) for row in rows]


def waiting(session: Executor, *, after: Freed | None, limit: int) -> list[Freed]:
    """Every run that is due or that time makes due, ``limit`` at a time, in the index's order, from ``after`` on."""
    place = JobRun.queue, JobRun.priority, JobRun.run_at, JobRun.id
    query = select(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at).where(_QUEUED, JobRun.run_at < FAR)
    query = query.order_by(*place).limit(limit)
    if after is not None:
        last = (
            bindparam("queue", after.queue, String()),
            bindparam("priority", after.priority, SmallInteger()),
            bindparam("run_at", after.run_at, UtcDateTime()),
            bindparam("id", after.run_id, Uuid()),
        )
        query = query.where(tuple_(*place) > tuple_(*last))
    return [Freed(*row) for row in session.execute(query)]


@cache
def _unclaimed(dialect: str) -> Select[*tuple[Any, ...]]:
    is_paused = (
        exists()
        .where(
            JobQueue.name == JobRun.queue,
            JobQueue.paused_at.is_not(None),
            or_(JobQueue.paused_until.is_(None), JobQueue.paused_until > ledger_now()),
        )
        .correlate(JobRun)
    )
    wanted = select(_IDS.table(dialect).c.id)
    return select(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at, JobRun.kind, is_paused, ledger_now()).where(
        one_of(dialect, JobRun.id, wanted), JobRun.state + "" == "queued", JobRun.run_at < FAR
    )


@cache
def _overdue(dialect: str) -> Select[*tuple[Any, ...]]:
    since = plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float()))
    return _first_of_levels(dialect, JobRun.run_at <= since)


@cache
def _soon_due(dialect: str) -> Select[*tuple[Any, ...]]:
    until = plus_seconds(ledger_now(), bindparam("within_seconds", type_=Float()))
    return _first_of_levels(dialect, and_(JobRun.run_at > ledger_now(), JobRun.run_at <= until))


def _first_of_levels(dialect: str, which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """The first waiting runs of each queue and priority of which this is true, ``limit`` at most; by its index."""
    levels = queued_levels()
    columns = (JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at)
    found = and_(_QUEUED, JobRun.queue == levels.c.queue, JobRun.priority == levels.c.priority, which)
    limit = bindparam("limit", type_=Integer())
    if dialect == "postgresql":
        first = select(*columns).where(found).order_by(JobRun.run_at, JobRun.id).limit(limit)
        level = first.correlate(levels).lateral("level")
        return select(level).select_from(levels.join(level, true()))
    return select(*columns).select_from(levels).join(JobRun, true()).where(found).limit(limit)


def queued_levels() -> CTE:
    """The queues and priorities of waiting runs, in order; one index probe each."""
    place = JobRun.queue, JobRun.priority

    def first(*which: ColumnElement[bool]) -> Any:
        return select(*place).where(_QUEUED, *which).order_by(*place).limit(1)

    start = first().subquery()
    levels = select(start.c.queue, start.c.priority).cte("levels", recursive=True)
    beyond = tuple_(*place) > tuple_(levels.c.queue, levels.c.priority)

    def following(column: Any) -> Any:
        query = select(column).where(_QUEUED, cast(Any, beyond)).order_by(*place).limit(1)
        return query.correlate(levels).scalar_subquery()

    return levels.union_all(
        select(following(JobRun.queue), following(JobRun.priority)).where(and_(levels.c.queue.is_not(None)))
    )
