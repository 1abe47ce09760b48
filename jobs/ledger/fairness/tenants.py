"""The tenants that have due runs in a queue and priority, their next runs, and their turns as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Float,
    Integer,
    SmallInteger,
    String,
    Text,
    and_,
    bindparam,
    delete,
    literal_column,
    select,
    text,
    true,
    tuple_,
)

from jobs.database.models import OF_TENANT, JobRun, JobTurn
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.ledger.fairness.shares import Turn
from jobs.ledger.runs.claim_statements import KINDS, is_claimable

MAX_TENANTS = 500
"""Tenants that one claim looks at; with more, the next claim looks at the next ones. Source: decision; some
milliseconds."""
IDLE_SECONDS = 3600.0
"""How long the turn of a tenant is kept after its last. Source: decision; later it starts with the others anyway."""

_SERVED = RowBatch("served", tenant=Text(), turn=Float(), weight=Float())
_ASKED = RowBatch("asked", tenant=Text(), count=Integer())


class Level(NamedTuple):
    """A queue and a priority, within which tenants take turns."""

    queue: str
    priority: int


class Now(NamedTuple):
    """The turn that a level takes now, and the last tenant of the last look, if that did not see all."""

    turn: float
    resume_after: str | None


def lock_level(session: Executor, level: Level, *, now: datetime | None = None) -> Now:
    """Lock a level until the transaction ends: one claim at a time takes turns in it."""
    query = select(JobTurn.turn, JobTurn.resume_after).where(_of(level), JobTurn.tenant == "").with_for_update()
    row = session.execute(query).one_or_none()
    if row is None:
        new = {**level._asdict(), "tenant": "", "turn": 0.0, "weight": 1.0, "seen_at": ledger_now()}
        made = insert_into(dialect_of(session), JobTurn).values(**new).on_conflict_do_nothing()
        session.execute(made, {"now": now})
        row = session.execute(query).one()
    return Now(*row)


def waiting_tenants(
    session: Executor, level: Level, *, after: str = "", limit: int = MAX_TENANTS, now: datetime | None = None
) -> tuple[dict[str, Turn | None], str | None]:
    """Tenants that have due runs, by two index probes each, with their turns; None: it has had none for long.

    Returns also the last tenant that it looked at, if there may be more.
    """
    given = {**level._asdict(), "after": after, "limit": limit, "now": now}
    rows = session.execute(_tenants(), given).all()
    found = {row[0]: None if row[1] is None else Turn(row[1], row[2]) for row in rows if row[3] is not None}
    return found, rows[-1][0] if len(rows) >= limit else None


def next_runs(
    session: Executor, level: Level, asked: Mapping[str, int], *, kinds: Sequence[str], now: datetime | None = None
) -> dict[str, list[UUID]]:
    """The next due runs of each tenant, locked, as many as asked for; of these kinds, and not paused."""
    dialect = dialect_of(session)
    given = {**level._asdict(), **KINDS.rows(dialect, [(kind,) for kind in kinds]), "now": now}
    found: dict[str, list[UUID]] = {tenant: [] for tenant in asked}
    if dialect == "postgresql":
        for row in session.execute(_next_postgresql(), {**given, **_ASKED.rows(dialect, list(asked.items()))}):
            found[row[0]].append(row[1])
        return found
    for tenant, count in asked.items():
        found[tenant] = list(session.scalars(_next_sqlite(), {**given, "tenant": tenant, "count": count}))
    return found


def save_turns(
    session: Executor,
    level: Level,
    turns: Mapping[str, Turn],
    *,
    resume_after: str | None = None,
    now: datetime | None = None,
) -> None:
    """Record turns; of the level itself under the empty name, with ``resume_after``."""
    if not turns:
        return
    dialect = dialect_of(session)
    rows = [(tenant, *turns[tenant]) for tenant in sorted(turns)]
    session.execute(
        _save(dialect), {**_SERVED.rows(dialect, rows), **level._asdict(), "resume_after": resume_after, "now": now}
    )


def drop_idle_turns(session: Executor, *, limit: int = 500, now: datetime | None = None) -> int:
    """Delete the turns of tenants that had none for long. Returns their number."""
    return len(session.execute(_drop(), {"limit": limit, "now": now}).all())


def _of(level: Level) -> Any:
    return and_(JobTurn.queue == level.queue, JobTurn.priority == level.priority)


def _in_level() -> Any:
    return and_(
        text(OF_TENANT),
        JobRun.queue == bindparam("queue", type_=String()),
        JobRun.priority == bindparam("priority", type_=SmallInteger()),
    )


@cache
def _tenants() -> Any:
    def least(*which: Any) -> Any:
        return select(JobRun.tenant).where(_in_level(), *which).order_by(JobRun.tenant).limit(1)

    start = least(JobRun.tenant > bindparam("after", type_=String())).scalar_subquery()
    walk = select(start.label("tenant")).cte("walk", recursive=True)
    following = least(JobRun.tenant > walk.c.tenant).correlate(walk).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.tenant.is_not(None)))
    some = (
        select(walk.c.tenant)
        .where(walk.c.tenant.is_not(None))
        .limit(bindparam("limit", type_=Integer()))
        .subquery("some")
    )
    is_due = (
        select(JobRun.run_at)
        .where(_in_level(), JobRun.tenant == some.c.tenant, JobRun.run_at <= ledger_now())
        .order_by(JobRun.run_at)
        .limit(1)
        .correlate(some)
        .scalar_subquery()
    )
    turn = and_(
        JobTurn.tenant == some.c.tenant,
        JobTurn.queue == bindparam("queue", type_=String()),
        JobTurn.priority == bindparam("priority", type_=SmallInteger()),
    )
    return (
        select(some.c.tenant, JobTurn.turn, JobTurn.weight, is_due)
        .select_from(some.outerjoin(JobTurn, turn))
        .order_by(some.c.tenant)
    )


@cache
def _next_postgresql() -> Any:
    asked = _ASKED.table("postgresql")
    one = (
        select(JobRun.id, JobRun.run_at)
        .where(_in_level(), JobRun.tenant == asked.c.tenant, is_claimable("postgresql"))
        .order_by(JobRun.run_at, JobRun.id)
        .limit(asked.c.count)
        .with_for_update(skip_locked=True)
        .correlate(asked)
        .lateral("one")
    )
    chosen = select(asked.c.tenant, one.c.id, one.c.run_at).select_from(asked.join(one, true())).cte("chosen")
    return select(chosen.c.tenant, chosen.c.id).order_by(chosen.c.tenant, chosen.c.run_at, chosen.c.id)


@cache
def _next_sqlite() -> Any:
    return (
        select(JobRun.id)
        .where(_in_level(), JobRun.tenant == bindparam("tenant", type_=String()), is_claimable("sqlite"))
        .order_by(JobRun.run_at, JobRun.id)
        .limit(bindparam("count", type_=Integer()))
    )


@cache
def _save(dialect: str) -> Any:
    served = _SERVED.table(dialect).c
    names = ["queue", "priority", "tenant", "turn", "weight", "resume_after", "seen_at"]
    rows = select(
        bindparam("queue", type_=String()),
        bindparam("priority", type_=SmallInteger()),
        served.tenant,
        served.turn,
        served.weight,
        bindparam("resume_after", type_=String()),
        ledger_now(),
    ).where(text("true"))
    inserted = insert_into(dialect, JobTurn).from_select(names, rows, include_defaults=False)
    changed = {name: inserted.excluded[name] for name in names[3:]}
    return inserted.on_conflict_do_update(index_elements=names[:3], set_=changed)


@cache
def _drop() -> Any:
    key = (JobTurn.queue, JobTurn.priority, JobTurn.tenant)
    idle = (
        select(*key)
        .where(JobTurn.tenant != "", JobTurn.seen_at < plus_seconds(ledger_now(), literal_column(str(-IDLE_SECONDS))))
        .limit(bindparam("limit", type_=Integer()))
    )
    return delete(JobTurn).where(tuple_(*key).in_(idle)).returning(JobTurn.tenant)
