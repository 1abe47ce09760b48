"""The priorities of the runs that wait in a queue, as a table within a statement: claims read them one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    SmallInteger,
    String,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
    tuple_,
)

from jobs.database.models import JobRun, UtcDateTime
from jobs.database.sql import RowBatch

QUEUES = RowBatch("served", queue=Text())
"""On SQLite a statement is of one queue, ``in_queue``."""
PLACES = RowBatch("served", queue=Text(), from_priority=SmallInteger(), from_at=UtcDateTime(), from_id=Uuid())
"""Queues, and from where a claim reads the runs of one priority. PostgreSQL only."""
FROM_THE_START = (-(2**15), datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
"""A place before all runs: no run has this priority."""
_ONE: ColumnElement[int] = literal_column("1")
_BELOW_EVERY_PRIORITY = "'-32768'::smallint"
_BEFORE_EVERY_MOMENT: ColumnElement[datetime] = literal_column("'-infinity'::timestamptz", type_=UtcDateTime())


def levels_of(dialect: str) -> CTE:
    """The priorities of the waiting runs of the served queues, smallest first within each; one index probe each."""
    return _levels_of_queues() if dialect == "postgresql" else _levels_of_queue()


def _levels_of_queues() -> CTE:
    """Queue by queue in their order, and only as far as they are read: the first queue often has enough runs."""
    given = QUEUES.table("postgresql", with_ordinality="place")
    served = select(given.c.queue, given.c.place).order_by(given.c.place).subquery("served_in_order")
    start = select(
        literal_column("0::bigint", type_=BigInteger()).label("place"),
        literal_column("null::text", type_=Text()).label("queue"),
        literal_column(_BELOW_EVERY_PRIORITY, type_=SmallInteger()).label("priority"),
    )
    levels = start.cte("levels", recursive=True)
    beyond = case((served.c.place == levels.c.place, levels.c.priority), else_=literal_column(_BELOW_EVERY_PRIORITY))
    first = (
        select(JobRun.priority)
        .where(_waits_in(served.c.queue), JobRun.priority > beyond)
        .order_by(JobRun.priority)
        .limit(_ONE)
        .correlate(served, levels)
        .lateral("first")
    )
    following = (
        select(served.c.place, served.c.queue, first.c.priority)
        .select_from(served.join(first, true()))
        .where(served.c.place >= levels.c.place)
        .order_by(served.c.place)
        .limit(_ONE)
        .correlate(levels)
        .lateral("following")
    )
    return levels.union_all(
        select(following.c.place, following.c.queue, following.c.priority).select_from(levels.join(following, true()))
    )


def levels_from_places() -> CTE:
    """``_levels_of_queues``, each with its place: of the priority of a queue's place, only later runs count."""
    given = PLACES.table("postgresql", with_ordinality="place")
    served = (
        select(given.c.queue, given.c.from_priority, given.c.from_at, given.c.from_id, given.c.place)
        .order_by(given.c.place)
        .subquery("served_in_order")
    )
    start = select(
        literal_column("0::bigint", type_=BigInteger()).label("place"),
        literal_column("null::text", type_=Text()).label("queue"),
        literal_column(_BELOW_EVERY_PRIORITY, type_=SmallInteger()).label("priority"),
        _BEFORE_EVERY_MOMENT.label("from_at"),
        literal_column("null::uuid", type_=Uuid()).label("from_id"),
    )
    levels = start.cte("levels", recursive=True)
    beyond = case((served.c.place == levels.c.place, levels.c.priority), else_=literal_column(_BELOW_EVERY_PRIORITY))
    here = served.c.from_priority
    # Each has one lower bound, at which the scan of the index begins.
    parts = (
        and_(JobRun.priority > beyond, JobRun.priority < here),
        and_(JobRun.priority == here, here > beyond, is_from(served)),
        JobRun.priority > func.greatest(here, beyond, type_=SmallInteger()),
    )
    found = [
        select(JobRun.priority)
        .where(_waits_in(served.c.queue), part)
        .order_by(JobRun.priority)
        .limit(_ONE)
        .correlate(served, levels)
        .scalar_subquery()
        for part in parts
    ]
    first = select(func.coalesce(*found, type_=SmallInteger()).label("priority")).lateral("first")
    from_at = case((first.c.priority == here, served.c.from_at), else_=_BEFORE_EVERY_MOMENT)
    following = (
        select(served.c.place, served.c.queue, first.c.priority, from_at.label("from_at"), served.c.from_id)
        .select_from(served.join(first, true()))
        .where(served.c.place >= levels.c.place, first.c.priority.is_not(None))
        .order_by(served.c.place)
        .limit(_ONE)
        .correlate(levels)
        .lateral("following")
    )
    return levels.union_all(select(*following.c).select_from(levels.join(following, true())))


def is_from(place: FromClause) -> ColumnElement[bool]:
    """Whether a run is at the place of a row, or after it."""
    return tuple_(JobRun.run_at, JobRun.id) >= tuple_(place.c.from_at, place.c.from_id)


def _levels_of_queue() -> CTE:
    queued = _waits_in(bindparam("in_queue", type_=String()))
    first = select(JobRun.priority.label("priority")).where(queued).order_by(JobRun.priority).limit(_ONE)
    levels = select(first.subquery().c.priority).cte("levels", recursive=True)
    following = (
        select(JobRun.priority)
        .where(queued, JobRun.priority > levels.c.priority)
        .order_by(JobRun.priority)
        .limit(_ONE)
        .correlate(levels)
        .scalar_subquery()
    )
    return levels.union_all(select(following).where(levels.c.priority.is_not(None)))


def is_at(dialect: str, levels: CTE) -> ColumnElement[bool]:
    """Whether a run waits in the queue and has the priority of a row of ``levels``."""
    queue = levels.c.queue if dialect == "postgresql" else bindparam("in_queue", type_=String())
    return and_(_waits_in(queue), JobRun.priority == levels.c.priority)


def _waits_in(queue: ColumnElement[str]) -> ColumnElement[bool]:
    return and_(JobRun.queue == queue, JobRun.state == literal_column("'queued'"))
