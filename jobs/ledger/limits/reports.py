"""Limits as operators and metrics see them: what is allowed, what is in use and what is parked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select, text

from jobs.database.models import ON_HOLD, JobLimit, JobLimitSlot, JobRun
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.limits.counts import Key, takes_slot
from jobs.ledger.limits.parked import PREFIX, held_on, key_of

MAX_LIMITS = 1000
"""Most limits that are listed. Source: decision; code declares them, so there are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRecord:
    """A limit, or one key of it.

    Attributes:
        key: as text; None for the limit itself.
        keyed_by: the field whose values are the keys; None for a limit for all.
        most: what code declares; ``set_most`` is what an operator set, and wins.
        hold_until: no run starts before; None if it is not held now.
        in_use: runs that perform now, or were just made ready for a free slot; of all keys.
        parked: runs that wait for it; of all keys.
    """

    name: str
    key: str | None
    keyed_by: str | None
    most: int | None
    set_most: int | None
    hold_until: datetime | None
    in_use: int
    parked: int

    @property
    def allowed(self) -> int | None:
        """The number in force."""
        return self.most if self.set_most is None else self.set_most


def list_limits(session: Executor, *, now: datetime | None = None) -> list[LimitRecord]:
    """Every limit, by name."""
    rows = session.execute(_limits().where(JobLimit.digest == "").limit(MAX_LIMITS), {"now": now}).all()
    used = _used(session, now)
    parked = _parked(session)
    return [_record(row, _sum(used, row.name), _sum(parked, row.name)) for row in rows]


def limit_keys(session: Executor, name: str, *, limit: int = 100, now: datetime | None = None) -> list[LimitRecord]:
    """The keys of a limit that are in use, that runs are parked on, or for which something is set."""
    used = {key: number for key, number in _used(session, now, name).items() if key[1]}
    parked = {key: number for key, number in _parked(session, name).items() if key[1]}
    busiest = sorted({*used, *parked}, key=lambda key: (-parked.get(key, 0), -used.get(key, 0), key))[:limit]
    is_set = or_(JobLimit.set_most.is_not(None), JobLimit.hold_until > ledger_now())
    wanted = or_(JobLimit.digest.in_([digest for _, digest in busiest]), is_set)
    query = _limits().where(JobLimit.name == name, JobLimit.digest != "", wanted).limit(limit)
    rows = session.execute(query, {"now": now}).all()
    every = [_record(row, used.get((name, row.digest), 0), parked.get((name, row.digest), 0)) for row in rows]
    return sorted(every, key=lambda one: (-one.parked, -one.in_use, one.key or ""))


def find_limit(session: Executor, key: Key, *, now: datetime | None = None) -> LimitRecord | None:
    """A limit, or one key of it; None if there is none."""
    row = session.execute(
        _limits().where(JobLimit.name == key[0], JobLimit.digest == key[1]), {"now": now}
    ).one_or_none()
    if row is None:
        return None
    used, parked = _used(session, now, key[0]), _parked(session, key[0])
    if key[1]:
        return _record(row, used.get(key, 0), parked.get(key, 0))
    return _record(row, _sum(used, key[0]), _sum(parked, key[0]))


def holders(session: Executor, key: Key, *, limit: int = 5, now: datetime | None = None) -> list[tuple[UUID, datetime]]:
    """Runs that have a slot of this key, and since when; the oldest first."""
    rows = session.execute(
        select(JobLimitSlot.run_id, JobLimitSlot.taken_at)
        .join(JobRun, JobRun.id == JobLimitSlot.run_id)
        .where(JobLimitSlot.name == key[0], JobLimitSlot.digest == key[1], takes_slot())
        .order_by(JobLimitSlot.taken_at)
        .limit(limit),
        {"now": now},
    )
    return [(row[0], row[1]) for row in rows]


def _limits() -> Any:
    return select(JobLimit.__table__, (JobLimit.hold_until > ledger_now()).label("is_held")).order_by(
        JobLimit.name, JobLimit.digest
    )


def _record(row: Any, used: int, parked: int) -> LimitRecord:
    return LimitRecord(
        name=row.name,
        key=row.key if row.digest else None,
        keyed_by=row.keyed_by,
        most=row.most,
        set_most=row.set_most,
        hold_until=row.hold_until if row.is_held else None,
        in_use=used,
        parked=parked,
    )


def _used(session: Executor, now: datetime | None, name: str | None = None) -> dict[Key, int]:
    query = (
        select(JobLimitSlot.name, JobLimitSlot.digest, func.count())
        .join(JobRun, JobRun.id == JobLimitSlot.run_id)
        .where(takes_slot())
        .group_by(JobLimitSlot.name, JobLimitSlot.digest)
    )
    if name is not None:
        query = query.where(JobLimitSlot.name == name)
    return {(row[0], row[1]): row[2] for row in session.execute(query, {"now": now})}


def _parked(session: Executor, name: str | None = None) -> dict[Key, int]:
    first = PREFIX if name is None else held_on((name, ""))
    # From the index of held runs alone; the next character after the separators ends the range.
    beyond = PREFIX[:-1] + ";" if name is None else first + "$"
    query = (
        select(JobRun.held_on, func.count())
        .where(text(ON_HOLD), and_(JobRun.held_on >= first, JobRun.held_on < beyond))
        .group_by(JobRun.held_on)
    )
    counted = {key_of(str(row[0])): row[1] for row in session.execute(query)}
    return counted if name is None else {key: number for key, number in counted.items() if key[0] == name}


def _sum(counted: dict[Key, int], name: str) -> int:
    return sum(number for key, number in counted.items() if key[0] == name)
