"""Runs that are parked on limits: what they are held on, and the statements that park and release them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    FromClause,
    Integer,
    Select,
    String,
    Text,
    Update,
    Uuid,
    bindparam,
    case,
    literal_column,
    null,
    select,
    text,
    true,
    update,
)

from jobs.database.direct_statements import DirectConnection, DirectStatement, Runner
from jobs.database.models import ON_HOLD, JobRun, UtcDateTime
from jobs.database.sql import RowBatch, dialect_of, ledger_now
from jobs.ledger.holds import held_now, no_longer_held, release_held
from jobs.ledger.limits.counts import Key
from jobs.ledger.pauses import is_paused
from jobs.ledger.records import Claim, Freed
from jobs.states import FAR, Hold, RunState, checked_move

PREFIX, RATE_PREFIX = "limit:", "rate:"
PARKED = RowBatch("parked", id=Uuid(), token=Uuid(), held_on=Text(), until=UtcDateTime())
_CLAIMED = RowBatch("claimed", id=Uuid(), token=Uuid())
_HELD = RowBatch("held", held_on=Text())
_ROOM = RowBatch("room", held_on=Text(), count=Integer())
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


Parked = tuple[Claim, Refusal]


def park(runner: Runner, claims: Sequence[Parked], *, now: datetime | None) -> list[Freed]:
    """Park candidates of this transaction: no attempt, no charge. Returns those that time alone makes ready."""
    if claims:
        _PARK.rows(runner, {**rows_of_parked(dialect_of(runner), claims), "now": now})
    return due_by_time(claims)


def put_back_claims(runner: Runner, claims: Sequence[Claim], *, now: datetime | None) -> None:
    """Undo claims of this transaction: their runs wait in their queues as before. SQLite only."""
    if claims:
        rows = [(one.run_id, one.token) for one in claims]
        _UNDO.rows(runner, {**_CLAIMED.rows("sqlite", rows), "now": now})


def due_by_time(claims: Iterable[Parked]) -> list[Freed]:
    """Those of the parked runs that time alone makes ready."""
    return [Freed(one.run_id, one.queue, one.priority, why.until) for one, why in claims if why.until is not None]


def rows_of_parked(dialect: str, claims: Iterable[Parked]) -> dict[str, Any]:
    """Refused candidates as the parameters of ``hold_parked``."""
    rows = [(one.run_id, one.token, why.held_on, why.until or FAR) for one, why in claims]
    return PARKED.rows(dialect, rows)


def with_parked(runner: Runner, keys: Iterable[Key]) -> list[Key]:
    """Those of these keys that runs are parked on; one probe of the index of held runs for each."""
    rows = [(held_on(key),) for key in keys]
    if not rows:
        return []
    given = _HELD.rows(dialect_of(runner), rows)
    # Nearly always none: to count them takes a third of the processor time of reading them.
    if isinstance(runner, DirectConnection) and not _WITH_PARKED.count(runner, given):
        return []
    return [key_of(row[0]) for row in _WITH_PARKED.rows(runner, given)]


def _never_claimed() -> dict[str, Any]:
    return {
        "state": literal_column(f"'{_QUEUED}'"),
        "token": null(),
        "lease_until": null(),
        "worker": null(),
        "attempt": JobRun.attempt - literal_column("1"),
        "started_at": case((JobRun.attempt > literal_column("1"), JobRun.started_at), else_=null()),
        "state_at": ledger_now(),
    }


@cache
def _undo(dialect: str) -> Update:
    claimed = _CLAIMED.table(dialect).c
    return update(JobRun).where(JobRun.id == claimed.id, JobRun.token == claimed.token).values(**_never_claimed())


@cache
def hold_parked(dialect: str) -> Update:
    """Hold the runs of ``PARKED``, and undo their claims if they were claimed at once."""
    parked = PARKED.table(dialect).c
    held = {**held_now(Hold.PARKED, parked.held_on, due_at=JobRun.run_at), "run_at": parked.until}
    which = [JobRun.id == parked.id]
    if dialect == "sqlite":
        which.append(JobRun.token == parked.token)
        held |= _never_claimed()
    return update(JobRun).where(*which).values(**held)


def release_next(runner: Runner, room: dict[Key, int], *, now: datetime | None = None) -> list[tuple[Freed, Key]]:
    """Make the next parked runs of each key ready, by priority and then by when they were due; as many as have room.

    Passes over runs of paused queues and kinds, and over runs that another transaction has locked.
    """
    rows = [(held_on(key), count) for key, count in room.items() if count > 0]
    if not rows:
        return []
    dialect = dialect_of(runner)
    if dialect == "postgresql" or isinstance(runner, DirectConnection):
        found = _RELEASE.rows(runner, {**_ROOM.rows(dialect, rows), "now": now})
        return [(Freed(*row[:4]), key_of(row[4])) for row in found]
    freed = []
    for held, count in rows:
        ids = runner.scalars(_next(), {"held": held, "count": count, "now": now}).all()
        if ids:
            freed += [(one, key_of(held)) for one in release_held(runner, ids, now=now)]
    return freed


@cache
def _with_parked(dialect: str) -> Select[Any]:
    held = _HELD.table(dialect)
    parked = (
        select(JobRun.id)
        .where(text(ON_HOLD), JobRun.hold == literal_column(f"'{Hold.PARKED.value}'"), JobRun.held_on == held.c.held_on)
        .limit(literal_column("1"))
        .correlate(held)
        .scalar_subquery()
    )
    return select(held.c.held_on).where(parked.is_not(None))


@cache
def _next() -> Select[UUID]:
    return (
        select(JobRun.id)
        .where(text(ON_HOLD), JobRun.hold == Hold.PARKED.value, JobRun.held_on == bindparam("held", type_=String()))
        .where(~is_paused())
        .order_by(JobRun.priority, JobRun.due_at, JobRun.id)
        .limit(bindparam("count", type_=Integer()))
    )


def next_parked(room: FromClause, *columns: Any) -> FromClause:
    """The first parked runs that no other transaction has locked, for each row of ``room``; this one locks them.

    Args:
        room: has ``held_on`` and ``count``, how many runs.
    """
    return (
        select(*columns)
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


@cache
def _release(dialect: str) -> Update:
    room = _ROOM.table(dialect)
    one = next_parked(room, JobRun.id)
    chosen = select(one.c.id, room.c.held_on.label("was_on")).select_from(room.join(one, true())).cte("chosen")
    return (
        update(JobRun)
        .where(JobRun.id == chosen.c.id)
        .values(no_longer_held())
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at, chosen.c.was_on)
    )


_PARK, _UNDO = DirectStatement(hold_parked), DirectStatement(_undo)
_RELEASE, _WITH_PARKED = DirectStatement(_release), DirectStatement(_with_parked)
