"""Limits and rates as operators and metrics see them: what is allowed, what is in use and what is parked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select, text

from jobs.database.models import ON_HOLD, JobLimit, JobLimitSlot, JobRun
from jobs.database.sql import Executor, ledger_now
from jobs.formats.rate import format_rate
from jobs.ledger.limits.counts import Key, takes_slot
from jobs.ledger.limits.gcra import Pace, Track, moment_of, nanoseconds
from jobs.ledger.limits.parked import PREFIX, RATE_PREFIX, held_on, key_of

MAX_LIMITS = 1000
"""Most limits that are listed. Source: decision; code declares them, so there are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRecord:
    """A limit, a rate, or both of one name; or one key of it.

    Attributes:
        key: as text; None for the limit itself.
        keyed_by: the field whose values are the keys; None for a limit for all.
        most: what code declares; ``set_most`` is what an operator set, and wins.
        hold_until: no run starts before; None if it is not held now.
        in_use: runs that perform now, or were just made ready for a free slot; of all keys.
        parked: runs that wait for it; of all keys.
        rate: what code declares, such as ``600/m``; ``set_rate`` is what an operator set, and wins.
        burst: how many may start at once after a pause; None if code leaves it to the rate.
        rate_keyed_by: as ``keyed_by``, of the rate.
        next_slot_at: when a run that asked for a slot of the rate now would start; None: at once, or the rate has keys.
        held_by: the run that asked for the hold; None if an operator set it.
    """

    name: str
    key: str | None
    keyed_by: str | None
    most: int | None
    set_most: int | None
    hold_until: datetime | None
    in_use: int
    parked: int
    rate: str | None = None
    set_rate: str | None = None
    burst: int | None = None
    rate_keyed_by: str | None = None
    next_slot_at: datetime | None = None
    held_by: UUID | None = None

    @property
    def allowed(self) -> int | None:
        """The number in force."""
        return self.most if self.set_most is None else self.set_most

    @property
    def pace(self) -> str | None:
        """The rate in force."""
        return self.set_rate or self.rate


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
    holds = (JobLimit.hold_until > ledger_now(), JobLimit.run_hold_until > ledger_now())
    is_set = or_(JobLimit.set_most.is_not(None), JobLimit.set_rate_count.is_not(None), *holds)
    wanted = or_(JobLimit.digest.in_([digest for _, digest in busiest]), is_set)
    query = _limits().where(JobLimit.name == name, JobLimit.digest != "", wanted).limit(limit)
    rows = session.execute(query, {"now": now}).all()
    whole = session.execute(_limits().where(JobLimit.name == name, JobLimit.digest == ""), {"now": now}).one_or_none()
    every = [_record(row, used.get((name, row.digest), 0), parked.get((name, row.digest), 0), whole) for row in rows]
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
        whole = _limits().where(JobLimit.name == key[0], JobLimit.digest == "")
        return _record(row, used.get(key, 0), parked.get(key, 0), session.execute(whole, {"now": now}).one_or_none())
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
    return select(JobLimit.__table__, ledger_now().label("moment")).order_by(JobLimit.name, JobLimit.digest)


def _record(row: Any, used: int, parked: int, whole: Any = None) -> LimitRecord:
    """``whole`` is the row of the limit itself, for a key of it."""
    holds = [(row.hold_until, None), (row.run_hold_until, row.run_hold_by)]
    until, by = max((one for one in holds if one[0] is not None and one[0] > row.moment), default=(None, None),
                    key=lambda one: one[0])  # fmt: skip
    return LimitRecord(
        name=row.name,
        key=row.key if row.digest else None,
        keyed_by=row.keyed_by,
        most=row.most,
        set_most=row.set_most,
        hold_until=until,
        in_use=used,
        parked=parked,
        rate=_rate(row.rate_count, row.rate_seconds),
        set_rate=_rate(row.set_rate_count, row.set_rate_seconds),
        burst=row.rate_burst,
        rate_keyed_by=row.rate_keyed_by,
        next_slot_at=_next_slot(row, row if whole is None else whole),
        held_by=by,
    )


def _rate(count: Any, seconds: Any) -> str | None:
    return format_rate(count, timedelta(seconds=seconds)) if _is_rate(count, seconds) else None


def _is_rate(count: Any, seconds: Any) -> bool:
    """Whether both are there and are numbers: a column of numbers in SQLite may hold text that somebody wrote by
    hand."""
    return isinstance(count, int) and isinstance(seconds, int | float)


def _next_slot(row: Any, whole: Any) -> datetime | None:
    for count, seconds in (
        (row.set_rate_count, row.set_rate_seconds),
        (whole.set_rate_count, whole.set_rate_seconds),
        (whole.rate_count, whole.rate_seconds),
    ):
        if _is_rate(count, seconds):
            now = nanoseconds(row.moment)
            track = Track.read(Pace(count, seconds, whole.rate_burst), row.rate_started, row.rate_lines, now)
            at = track.next_slot(0, now)
            return moment_of(at) if at > now else None
    return None


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
    counted: dict[Key, int] = {}
    for prefix in (PREFIX, RATE_PREFIX):
        first = prefix if name is None else held_on((name, ""), prefix)
        # From the index of held runs alone; the next character after the separators ends the range.
        beyond = prefix[:-1] + ";" if name is None else first + "$"
        query = (
            select(JobRun.held_on, func.count())
            .where(text(ON_HOLD), and_(JobRun.held_on >= first, JobRun.held_on < beyond))
            .group_by(JobRun.held_on)
        )
        for held, number in session.execute(query):
            key = key_of(str(held))
            counted[key] = counted.get(key, 0) + number
    return counted if name is None else {key: number for key, number in counted.items() if key[0] == name}


def _sum(counted: dict[Key, int], name: str) -> int:
    return sum(number for key, number in counted.items() if key[0] == name)
