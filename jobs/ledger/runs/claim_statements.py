"""The statements of ``claim``: which runs are due, in which order, and what a claim writes and returns."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Float,
    Integer,
    Select,
    String,
    Text,
    Update,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from jobs.database.models import JobKind, JobQueue, JobRun, UtcDateTime
from jobs.database.random_token import random_token
from jobs.database.sql import (
    RowBatch,
    counted,
    ledger_now,
    one_of,
    plus_seconds,
    seconds_between,
)
from jobs.ledger.claim_columns import claim_columns, without_waiting
from jobs.ledger.holds import NOT_HELD
from jobs.ledger.pauses import is_paused, paused_names
from jobs.ledger.queries.priority_levels import is_at, is_from, levels_from_places, levels_of
from jobs.states import RunState, checked_move

IDS = RowBatch("wanted", id=Uuid())
KINDS = RowBatch("known", kind=Text())
_ONE: ColumnElement[int] = literal_column("1")


def _is_due() -> ColumnElement[bool]:
    return and_(
        JobRun.state == literal_column("'queued'"),
        JobRun.run_at <= ledger_now(),
        # A started run may finish: only its first start has a latest moment.
        or_(JobRun.expires_at.is_(None), JobRun.expires_at > ledger_now(), JobRun.attempt > literal_column("0")),
    )


def _may_start(dialect: str) -> ColumnElement[bool]:
    """Whether a run is of a kind that the worker knows, and neither its kind nor its queue is paused.

    On PostgreSQL what is paused is read once for a statement, not once for a run. The form prevents two mistakes of its
    planner. It must not choose the index of names, and must not expect fewer runs than the claim may take: either would
    make it sort all waiting runs. It expects nearly every row to have a value that is not null.
    """
    known = KINDS.table(dialect).c.kind
    if dialect == "sqlite":
        return and_(~is_paused(), (JobRun.kind + literal_column("''")).in_(select(known)))
    open_kinds = func.array(select(known).where(known.not_in(paused_names(JobKind))).scalar_subquery())
    paused_queues = func.array(paused_names(JobQueue).scalar_subquery())
    is_known = func.array_position(open_kinds, cast(JobRun.kind, Text)).is_not(None)
    is_served = func.array_position(paused_queues, cast(JobRun.queue, Text)).is_(None)
    return and_(is_known, case((is_served, _ONE)).is_not(None))


@cache
def claim_ids(dialect: str) -> Update:
    """Claim the due runs among ``IDS``."""
    return _take(dialect, select(due_ids(dialect).c.id))


def due_ids(dialect: str, *columns: Any) -> CTE:
    """The due runs among ``IDS``, locked: these columns of them, or their ids."""
    wanted = IDS.table(dialect)
    return (
        select(*(columns or (JobRun.id,)))
        .where(one_of(dialect, JobRun.id, select(wanted.c.id)), _is_due(), _may_start(dialect))
        .order_by(JobRun.id)
        .with_for_update(skip_locked=True)
        .cte("locked")
    )


@cache
def claim_queues(dialect: str) -> Update:
    """Claim the due runs of the served queues."""
    return _take(dialect, select(due_of_queues(dialect).c.id))


def due_of_queues(dialect: str, *columns: Any) -> CTE:
    """The due runs of the served queues, locked, one queue and one priority at a time: these columns, or their ids.

    One index scan per priority: within one, due runs come first, so that a million runs of a smaller priority number
    that are not due yet are never scanned.
    """
    count = bindparam("count", type_=Integer())
    levels = levels_of(dialect)
    due = and_(is_at(dialect, levels), _is_due(), _may_start(dialect))
    if dialect == "postgresql":
        return _first_of(levels, due, count, *columns)
    # SQLite scans the joined tables in the order written here, each by its index: no sort, and the limit stops it.
    return select(JobRun.id).select_from(levels).join(JobRun, true()).where(due).limit(count).cte("taken")


def is_claimable(dialect: str) -> ColumnElement[bool]:
    """Whether a run is due, of a known kind, and not paused."""
    return and_(_is_due(), _may_start(dialect))


@cache
def claim_from_places(dialect: str) -> Update:
    """``claim_queues``, but each queue from a place on. PostgreSQL only.

    The index keeps the entries of claimed runs until a vacuum, and a claim from the start of a queue reads them all.
    """
    levels = levels_from_places()
    due = and_(is_at(dialect, levels), is_from(levels), _is_due(), _may_start(dialect))
    return _take(dialect, select(_first_of(levels, due, bindparam("count", type_=Integer())).c.id))


def _first_of(levels: CTE, due: ColumnElement[bool], count: BindParameter[int], *columns: Any) -> CTE:
    level = (
        select(*(columns or (JobRun.id,)))
        .where(due)
        .order_by(JobRun.run_at, JobRun.id)
        # Hidden from the planner: if its statistics, which may be old, say that fewer runs wait than the limit, it
        # would read all waiting runs and sort them. Without a known limit, it uses the plan that returns the first
        # rows soon.
        .limit(select(count).scalar_subquery())
        .with_for_update(skip_locked=True)
        .correlate(levels)
        .lateral("level")
    )
    return select(*level.c).select_from(levels.join(level, true())).limit(count).cte("taken")


@cache
def next_due(dialect: str) -> Select[datetime]:
    """When the next run of the served queues becomes due, or has become due within the last ``since_seconds``."""
    since = plus_seconds(ledger_now(), -bindparam("since_seconds", type_=Float()))
    levels = levels_of(dialect)
    earliest = (
        select(JobRun.run_at)
        .where(is_at(dialect, levels), JobRun.run_at > since)
        .order_by(JobRun.run_at)
        .limit(_ONE)
        .correlate(levels)
        .scalar_subquery()
    )
    return select(func.min(earliest, type_=UtcDateTime())).select_from(levels)


@cache
def until_due(dialect: str) -> Select[float]:
    """The seconds until ``next_due``."""
    return select(seconds_between(ledger_now(), next_due(dialect).scalar_subquery()))


_CLAIMED = checked_move(RunState.QUEUED, RunState.RUNNING)


def _take(dialect: str, ids: Select[tuple[UUID]]) -> Update:
    # They are queued, and locked: another condition on the state would lead the planner to the index of all queued
    # runs.
    taken = update(JobRun).where(one_of(dialect, JobRun.id, ids))
    if dialect == "postgresql":
        # A claim that is lost with the server does no harm: its token is never given again, and any result of its
        # holder is refused. What the holder commits meanwhile (its end, a step) waits for the disk, and earlier writes
        # reach the disk before it.
        taken = taken.where(without_waiting())
    return taken.values(
        state=literal_column(f"'{_CLAIMED}'"),
        token=random_token(JobRun.id),
        lease_until=plus_seconds(ledger_now(), bindparam("lease_seconds", type_=Float())),
        attempt=counted(JobRun.attempt, _ONE),
        worker=bindparam("by_worker", type_=String()),
        started_at=ledger_now(),
        state_at=ledger_now(),
        **dict.fromkeys(NOT_HELD, null()),
    ).returning(*claim_columns())
