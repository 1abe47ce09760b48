"""Runs that are parked on limits: what they are held on, and the statements that park and release them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Integer,
    Select,
    String,
    Text,
    Update,
    Uuid,
    bindparam,
    case,
    literal,
    literal_column,
    select,
    text,
    update,
)

from jobs.database.models import ON_HOLD, JobRun, UtcDateTime
from jobs.database.sql import Batch, Executor, dialect_of, ledger_now
from jobs.ledger.holds import held_now, no_longer_held, release_held
from jobs.ledger.limits.counts import Key
from jobs.ledger.pauses import is_paused
from jobs.ledger.records import Claim, Freed
from jobs.states import Hold, RunState, checked_move

PREFIX, RATE_PREFIX = "limit:", "rate:"
_PARK = Batch("parked", id=Uuid(), token=Uuid(), held_on=Text(), until=UtcDateTime())
_CLAIMED = Batch("claimed", id=Uuid(), token=Uuid())
_ROOM = Batch("room", held_on=Text(), count=Integer())
_QUEUED = checked_move(RunState.RUNNING, RunState.QUEUED)


def held_on(key: Key, prefix: str = PREFIX) -> str:
    """What a run is held on that is parked on this limit: ``limit:stripe``, with ``#`` and the digest of a key."""
    name, digest = key
    return f"{prefix}{name}#{digest}" if digest else f"{prefix}{name}"


def key_of(held: str) -> Key:
    """The limit or rate, and the digest of its key, that ``held_on`` names."""
    name, _, digest = held.removeprefix(PREFIX).removeprefix(RATE_PREFIX).partition("#")
    return name, digest


class Refusal(NamedTuple):
    """Why a claim does not hold: what its run is held on, and until when; None: time alone does not free it."""

    held_on: str
    until: datetime | None = None


def park(session: Executor, claims: Sequence[tuple[Claim, Refusal]], *, now: datetime | None) -> list[Freed]:
    """Undo claims of this transaction: no attempt, no charge. Returns those that time alone makes ready."""
    if not claims:
        return []
    dialect = dialect_of(session)
    rows = [(one.run_id, one.token, *why) for one, why in claims]
    session.execute(_park(dialect), {**_PARK.rows(dialect, rows), "now": now})
    return [Freed(one.run_id, one.queue, one.priority, why.until) for one, why in claims if why.until is not None]


def unclaim(session: Executor, claims: Sequence[Claim], *, now: datetime | None) -> None:
    """Undo claims of this transaction: their runs wait in their queues as before."""
    if claims:
        dialect = dialect_of(session)
        rows = [(one.run_id, one.token) for one in claims]
        session.execute(_unclaim(dialect), {**_CLAIMED.rows(dialect, rows), "now": now})


def _never_claimed() -> dict[str, Any]:
    return {
        "state": _QUEUED,
        "token": None,
        "lease_until": None,
        "worker": None,
        "attempt": JobRun.attempt - 1,
        "started_at": case((JobRun.attempt > 1, JobRun.started_at), else_=None),
        "state_at": ledger_now(),
    }


@cache
def _unclaim(dialect: str) -> Update:
    claimed = _CLAIMED.table(dialect).c
    return (
        update(JobRun)
        .where(JobRun.id == claimed.id, JobRun.token == claimed.token, _CLAIMED.among(dialect, JobRun.id, "id"))
        .values(**_never_claimed())
        .execution_options(synchronize_session=False)
    )


@cache
def _park(dialect: str) -> Update:
    parked = _PARK.table(dialect).c
    return (
        update(JobRun)
        .where(JobRun.id == parked.id, JobRun.token == parked.token, _PARK.among(dialect, JobRun.id, "id"))
        .values(
            **_never_claimed(),
            **held_now(Hold.PARKED, parked.held_on, due_at=JobRun.run_at, until=parked.until),
        )
        .execution_options(synchronize_session=False)
    )


def release_next(session: Executor, room: dict[Key, int], *, now: datetime | None = None) -> list[tuple[Freed, Key]]:
    """Make the next parked runs of each key ready, by priority and then by when they were due; as many as have room.

    Passes over runs of paused queues and kinds, and over runs that another transaction has locked.
    """
    rows = [(held_on(key), count) for key, count in room.items() if count > 0]
    if not rows:
        return []
    dialect = dialect_of(session)
    if dialect == "postgresql":
        found = session.execute(_release_postgresql(), {**_ROOM.rows(dialect, rows), "now": now}).all()
        return [(Freed(*row[:4]), key_of(row[4])) for row in found]
    freed = []
    for held, count in rows:
        ids = session.scalars(_next(), {"held": held, "count": count, "now": now}).all()
        if ids:
            freed += [(one, key_of(held)) for one in release_held(session, ids, now=now)]
    return freed


@cache
def _next() -> Select[UUID]:
    return (
        select(JobRun.id)
        .where(text(ON_HOLD), JobRun.hold == Hold.PARKED.value, JobRun.held_on == bindparam("held", type_=String()))
        .where(~is_paused())
        .order_by(JobRun.priority, JobRun.due_at, JobRun.id)
        .limit(bindparam("count", type_=Integer()))
    )


@cache
def _release_postgresql() -> Update:
    room = _ROOM.table("postgresql")
    one = (
        select(JobRun.id)
        .where(
            JobRun.state == literal_column("'queued'"),
            JobRun.hold == literal_column(f"'{Hold.PARKED.value}'"),
            JobRun.held_on == room.c.held_on,
            ~is_paused(),
        )
        .order_by(JobRun.priority, JobRun.due_at, JobRun.id)
        .limit(room.c.count)
        .with_for_update(skip_locked=True)
        .correlate(room)
        .lateral("one")
    )
    chosen = select(one.c.id, room.c.held_on.label("was_on")).select_from(room.join(one, literal(True))).cte("chosen")
    return (
        update(JobRun)
        .where(JobRun.id == chosen.c.id)
        .values(no_longer_held())
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at, chosen.c.was_on)
        .execution_options(synchronize_session=False)
    )
