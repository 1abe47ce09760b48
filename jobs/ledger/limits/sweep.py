"""Finds what a fault left behind: slots of runs that perform no longer, and parked runs although there is room.

Also after changes that make room for many: a limit that grew, a hold that ended, a queue that was resumed.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    Text,
    Uuid,
    and_,
    bindparam,
    delete,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)

from jobs.database.models import ON_HOLD, JobLimit, JobLimitSlot, JobRateSlot, JobRun
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, plus_seconds
from jobs.ledger.limits.counts import Key, takes_slot
from jobs.ledger.limits.gcra import SECOND, nanoseconds
from jobs.ledger.limits.parked import PREFIX, RATE_PREFIX, held_on, key_of
from jobs.ledger.limits.reassign import reassign
from jobs.ledger.limits.slots import is_forgotten
from jobs.ledger.records import Freed

KEYS = 200
"""Keys of limits that one transaction locks. Source: decision; as many as the runs of a claim may have."""
IDLE_SECONDS = 86_400.0
"""How long a key's row is kept at least. Source: decision; a key that is used daily keeps its row."""
KEPT_SECONDS = 3600
"""How long after its slot a reservation may be stale. Source: decision; a settled attempt deletes its own."""
_SLOTS = RowBatch("locked", run_id=Uuid(), limit_name=Text())
LOOKED_AT = 2000
"""Old reservations that one sweep reads. Source: decision; some milliseconds."""
_AFTER = PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1)
"""The text after every ``limit:…``."""


def drop_stale_slots(session: Executor, *, limit: int = 500, now: datetime | None = None) -> int:
    """Delete slots that no longer count, and reservations of attempts that have ended. Returns their number."""
    before = nanoseconds(_moment(session, now)) - KEPT_SECONDS * SECOND
    session.execute(_drop_reservations(), {"limit": LOOKED_AT, "before": before})
    stale = session.execute(_stale(), {"limit": limit, "now": now}).all()
    if not stale:
        return 0
    dialect = dialect_of(session)
    # Looked at again now that they are locked: a claim may have written one since.
    given = {**_SLOTS.rows(dialect, [tuple(one) for one in stale]), "now": now}
    return len(session.execute(_drop(dialect), given).all())


def drop_idle_keys(session: Executor, *, limit: int = 500, now: datetime | None = None) -> int:
    """Delete the rows of keys that nobody uses and for which nothing is set, a day after their first use or later.

    Returns their number. The next run with such a key makes the row again.
    """
    moment = nanoseconds(_moment(session, now))
    return len(session.execute(_drop_keys(), {"limit": limit, "now": now, "now_ns": moment}).all())


def parked_keys(session: Executor, *, after: str = "", name: str | None = None) -> list[Key]:
    """The limits, with the digests of their keys, that runs are parked on; up to ``KEYS``, by index probes.

    Args:
        after: the last of the previous call, as ``held_on`` writes it.
        name: only keys of this limit.
    """
    first, beyond = (PREFIX, _AFTER) if name is None else (PREFIX + name, PREFIX + name + "$")
    keys = [key_of(one) for one in held_values(session, first, after=after, beyond=beyond)]
    return keys if name is None else [one for one in keys if one[0] == name]


def held_values(session: Executor, first: str, *, after: str, beyond: str) -> list[str]:
    """What runs are held on, from ``first`` and behind ``after`` up to ``beyond``; up to ``KEYS``, by index probes."""
    found = session.scalars(_parked(), {"first": first, "after": after, "beyond": beyond, "limit": KEYS})
    return [one for one in found if one is not None]


def reassign_all(session: Executor, name: str, *, now: datetime | None = None) -> list[Freed]:
    """Make parked runs of every key of a limit ready, as far as there is room."""
    freed: list[Freed] = []
    after = ""
    while keys := parked_keys(session, after=after, name=name):
        freed += reassign(session, keys, now=now)
        after = held_on(keys[-1])
    return freed


def _moment(session: Executor, now: datetime | None) -> datetime:
    found: datetime = session.execute(select(ledger_now()), {"now": now}).scalar_one()
    return found


def _is_stale() -> ColumnElement[bool]:
    counts = select(JobRun.id).where(JobRun.id == JobLimitSlot.run_id, takes_slot()).correlate(JobLimitSlot).exists()
    return or_(~counts, is_forgotten())


@cache
def _stale() -> Any:
    return (
        select(JobLimitSlot.run_id, JobLimitSlot.name)
        .where(_is_stale())
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
    )


@cache
def _drop(dialect: str) -> Any:
    locked = _SLOTS.table(dialect).c
    return (
        delete(JobLimitSlot)
        .where(
            tuple_(JobLimitSlot.run_id, JobLimitSlot.name).in_(select(locked.run_id, locked.limit_name)), _is_stale()
        )
        .returning(JobLimitSlot.run_id)
    )


@cache
def _drop_reservations() -> Any:
    is_wanted = (
        select(JobRun.id)
        .where(
            JobRun.id == JobRateSlot.run_id,
            or_(
                and_(JobRun.state == "queued", JobRun.attempt == JobRateSlot.attempt - 1),
                and_(JobRun.state == "running", JobRun.attempt == JobRateSlot.attempt),
            ),
        )
        .correlate(JobRateSlot)
        .exists()
    )
    old = (
        select(JobRateSlot.run_id)
        .where(JobRateSlot.place < bindparam("before", type_=BigInteger()))
        .order_by(JobRateSlot.place)
        .limit(bindparam("limit", type_=Integer()))
    )
    return delete(JobRateSlot).where(JobRateSlot.run_id.in_(old), ~is_wanted)


@cache
def _drop_keys() -> Any:
    same = and_(JobLimitSlot.name == JobLimit.name, JobLimitSlot.digest == JobLimit.digest)
    is_used = select(JobLimitSlot.run_id).where(same).correlate(JobLimit).exists()
    waits: list[ColumnElement[bool]] = []
    for prefix in (PREFIX, RATE_PREFIX):
        held: ColumnElement[str] = (
            literal_column(f"'{prefix}'", String()) + JobLimit.name + literal_column("'#'", String()) + JobLimit.digest
        )
        waits.append(select(JobRun.id).where(text(ON_HOLD), JobRun.held_on == held).correlate(JobLimit).exists())
    now = bindparam("now_ns", type_=BigInteger())
    idle = (
        select(JobLimit.name, JobLimit.digest)
        .where(
            JobLimit.digest != "",
            JobLimit.set_most.is_(None),
            JobLimit.hold_until.is_(None),
            JobLimit.set_rate_count.is_(None),
            or_(JobLimit.run_hold_until.is_(None), JobLimit.run_hold_until < ledger_now()),
            # A rate that has been used lately still counts.
            or_(JobLimit.rate_started.is_(None), JobLimit.rate_started < now),
            JobLimit.seen_at < plus_seconds(ledger_now(), literal_column(str(-IDLE_SECONDS))),
            ~is_used,
            *(~one for one in waits),
        )
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
        .cte("idle")
    )
    return (
        delete(JobLimit)
        .where(tuple_(JobLimit.name, JobLimit.digest).in_(select(idle.c.name, idle.c.digest)))
        .returning(JobLimit.name)
    )


@cache
def _parked() -> Select[Any]:
    """Each value of ``held_on``, the smallest first: one probe of the index of held runs for each."""

    def least(*which: ColumnElement[bool]) -> Any:
        bounds = JobRun.held_on < bindparam("beyond", type_=String())
        return select(JobRun.held_on).where(text(ON_HOLD), bounds, *which).order_by(JobRun.held_on).limit(1)

    start = least(
        JobRun.held_on >= bindparam("first", type_=String()), JobRun.held_on > bindparam("after", type_=String())
    )
    walk = select(start.scalar_subquery().label("held_on")).cte("walk", recursive=True)
    following = least(JobRun.held_on > walk.c.held_on).correlate(walk).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.held_on.is_not(None)))
    return select(walk.c.held_on).where(walk.c.held_on.is_not(None)).limit(bindparam("limit", type_=Integer()))
