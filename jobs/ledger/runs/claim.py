"""Claim: one statement takes many due runs; each gets a fresh random token, a lease and its next attempt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
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
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
    update,
)

from jobs.database.models import JobKind, JobQueue, JobRun, UtcDateTime
from jobs.database.sql import (
    Batch,
    Executor,
    counted,
    dialect_of,
    ledger_now,
    one_of,
    plus_seconds,
    random_token,
    seconds_between,
)
from jobs.ledger.holds import NOT_HELD
from jobs.ledger.records import Claim
from jobs.ledger.runs.unreadable_claims import look_through
from jobs.states import RunState, checked_move

_IDS = Batch("wanted", id=Uuid())
_KINDS = Batch("known", kind=Text())


def claim(
    session: Executor,
    run_ids: Sequence[UUID],
    *,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """Claim those of ``run_ids`` that are due, of a known kind, and not paused; the others do not change.

    By primary key: a long transaction elsewhere, with the dead rows it pins, does not slow it.
    """
    if not run_ids:
        return []
    dialect = dialect_of(session)
    rows = session.execute(
        _claim_ids(dialect),
        {
            **_IDS.rows(dialect, [(one,) for one in sorted(run_ids, key=_number)]),
            **_KINDS.rows(dialect, [(kind,) for kind in kinds]),
            **_values(worker, lease, now),
        },
    )
    return _in_order(session, rows.all())


def claim_due(
    session: Executor,
    queue: str,
    *,
    count: int,
    kinds: Sequence[str],
    worker: str,
    lease: timedelta,
    now: datetime | None = None,
) -> list[Claim]:
    """Claim up to ``count`` due runs of ``queue``, by priority, then in the order they became due.

    Skips rows that another worker is claiming.
    """
    dialect = dialect_of(session)
    rows = session.execute(
        _claim_queue(dialect),
        {
            "in_queue": queue,
            "count": count,
            **_KINDS.rows(dialect, [(kind,) for kind in kinds]),
            **_values(worker, lease, now),
        },
    )
    return _in_order(session, rows.all())


def next_due_at(session: Executor, queue: str, *, now: datetime | None = None) -> datetime | None:
    """When the next waiting run of ``queue`` that is not due yet becomes due; None if there is none."""
    return session.scalar(_next_due(), {"in_queue": queue, "now": now})


def seconds_until_due(session: Executor, queue: str, *, now: datetime | None = None) -> float | None:
    """Seconds until ``next_due_at``, by the ledger's clock: the caller's may be hours off."""
    return session.scalar(_until_due(), {"in_queue": queue, "now": now})


def _values(worker: str, lease: timedelta, now: datetime | None) -> dict[str, Any]:
    return {"by_worker": worker, "lease_seconds": lease.total_seconds(), "now": now}


def _is_due() -> ColumnElement[bool]:
    return and_(
        JobRun.state == literal_column("'queued'"),
        JobRun.run_at <= ledger_now(),
        # A started run may finish: only its first start has a latest moment.
        or_(JobRun.expires_at.is_(None), JobRun.expires_at > ledger_now(), JobRun.attempt > 0),
    )


def _is_paused() -> ColumnElement[bool]:
    return or_(_has_pause(JobQueue, JobRun.queue), _has_pause(JobKind, JobRun.kind))


def _has_pause(table: type[JobQueue] | type[JobKind], name: Any) -> ColumnElement[bool]:
    return (
        select(table.name)
        .where(
            table.name == name,
            table.paused_at.is_not(None),
            or_(table.paused_until.is_(None), table.paused_until > ledger_now()),
        )
        .correlate(JobRun)
        .exists()
    )


def _is_known(dialect: str) -> ColumnElement[bool]:
    """Of a kind that the worker knows, in a form that keeps planners from two mistakes.

    They must not choose the index of names, and must not expect fewer runs than the claim may take: either would make
    them sort all waiting runs. PostgreSQL expects nearly every row to have a value that is not null.
    """
    known = select(_KINDS.table(dialect).c.kind)
    if dialect == "postgresql":
        place = func.array_position(func.array(known.scalar_subquery()), cast(JobRun.kind, Text))
        return place.is_not(None)
    return (JobRun.kind + literal_column("''")).in_(known)


@cache
def _claim_ids(dialect: str) -> Update:
    wanted = _IDS.table(dialect)
    locked = (
        select(JobRun.id)
        .where(one_of(dialect, JobRun.id, select(wanted.c.id)), _is_due(), ~_is_paused(), _is_known(dialect))
        .order_by(JobRun.id)
        .with_for_update(skip_locked=True)
        .cte("locked")
    )
    return _take(dialect, select(locked.c.id))


def _levels() -> CTE:
    """The priorities of the waiting runs of a queue, smallest first; one index probe each."""
    queued = _waits_in_queue()
    first = select(JobRun.priority.label("priority")).where(queued).order_by(JobRun.priority).limit(1)
    levels = select(first.subquery().c.priority).cte("levels", recursive=True)
    following = (
        select(JobRun.priority)
        .where(queued, JobRun.priority > levels.c.priority)
        .order_by(JobRun.priority)
        .limit(1)
        .correlate(levels)
        .scalar_subquery()
    )
    return levels.union_all(select(following).where(levels.c.priority.is_not(None)))


def _waits_in_queue() -> ColumnElement[bool]:
    return and_(JobRun.queue == bindparam("in_queue", type_=String()), JobRun.state == literal_column("'queued'"))


@cache
def _claim_queue(dialect: str) -> Update:
    """The due runs of a queue, one priority at a time.

    One index scan per priority: within one, due runs come first, so that a million runs of a smaller priority number
    that
    are not due yet are never scanned.
    """
    count = bindparam("count", type_=Integer())
    levels = _levels()
    due = and_(
        _waits_in_queue(), JobRun.priority == levels.c.priority, _is_due(), ~_is_paused(), _is_known(dialect)
    )  # fmt: skip
    if dialect == "postgresql":
        level = (
            select(JobRun.id)
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
        taken = select(level.c.id).select_from(levels.join(level, true())).limit(count).cte("taken")
    else:
        # SQLite scans the joined tables in the order written here, each by its index: no sort, and the limit stops it.
        taken = select(JobRun.id).select_from(levels).join(JobRun, true()).where(due).limit(count).cte("taken")
    return _take(dialect, select(taken.c.id))


@cache
def _next_due() -> Select[datetime]:
    levels = _levels()
    earliest = (
        select(JobRun.run_at)
        .where(_waits_in_queue(), JobRun.priority == levels.c.priority, JobRun.run_at > ledger_now())
        .order_by(JobRun.run_at)
        .limit(1)
        .correlate(levels)
        .scalar_subquery()
    )
    return select(func.min(earliest, type_=UtcDateTime())).select_from(levels)


@cache
def _until_due() -> Select[float]:
    return select(seconds_between(ledger_now(), _next_due().scalar_subquery()))


_CLAIMED = checked_move(RunState.QUEUED, RunState.RUNNING)


def _take(dialect: str, ids: Select[tuple[UUID]]) -> Update:
    # They are queued, and locked: another condition on the state would lead the planner to the index of all queued
    # runs.
    taken = update(JobRun).where(one_of(dialect, JobRun.id, ids))
    if dialect == "postgresql":
        taken = taken.where(_without_waiting())
    return (
        taken.values(
            state=_CLAIMED,
            token=random_token(),
            lease_until=plus_seconds(ledger_now(), bindparam("lease_seconds", type_=Float())),
            attempt=counted(JobRun.attempt, 1),
            worker=bindparam("by_worker", type_=String()),
            started_at=ledger_now(),
            state_at=ledger_now(),
            **NOT_HELD,
        )
        .returning(
            JobRun.id,
            JobRun.token,
            JobRun.kind,
            JobRun.queue,
            JobRun.priority,
            JobRun.attempt,
            JobRun.charged,
            JobRun.crashes,
            JobRun.abandonments,
            JobRun.max_attempts,
            cast(JobRun.arguments, Text).label("arguments"),
            JobRun.arguments_version,
            JobRun.run_at,
            JobRun.created_at,
            JobRun.started_at,
            JobRun.correlation_id,
            JobRun.parent_id,
            JobRun.root_id,
            JobRun.scheduled_for,
            JobRun.schedule,
            JobRun.key,
            JobRun.trace_context,
        )
        .execution_options(synchronize_session=False)
    )


def _without_waiting() -> ColumnElement[bool]:
    """Commit this transaction without waiting for the disk: called once per statement, and true.

    A claim that is lost with the server does no harm: its token is never given again, and any result of its holder is
    refused. What the holder commits meanwhile (its end, a step) waits for the disk, and earlier writes reach the disk
    before it.
    """
    said = select(func.set_config("synchronous_commit", "off", true())).scalar_subquery()
    return said.is_not(None)


def _in_order(session: Executor, rows: Sequence[Any]) -> list[Claim]:
    claims = [Claim(*row) for row in rows]
    look_through(session, claims)
    claims.sort(key=lambda one: (one.priority, one.run_at, one.run_id.int))
    return claims


def _number(run_id: UUID) -> int:
    """A sort key: UUIDs compare in Python, numbers do not."""
    return run_id.int
