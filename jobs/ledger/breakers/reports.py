"""Breakers as operators and metrics see them: which slices are open, why, and what is parked on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select, text

from jobs.database.models import ON_HOLD, JobBreaker, JobRun
from jobs.database.sql import Executor
from jobs.definition.breakers import Slice
from jobs.ledger.breakers.canaries import canaries_of
from jobs.ledger.breakers.slices import PREFIX, held_on, slice_named

MAX_BREAKERS = 1000
"""Most breakers that are listed, and most open keys of one. Source: decision; code declares them, so there are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRecord:
    """A breaker, or one key of it that is open.

    Attributes:
        key: as text; None for the breaker itself.
        keyed_by: the field whose values are the keys; None for a breaker for all.
        after, within_seconds, open_seconds: what code declares.
        opened_at: since when it is open; None: it is closed. Of a breaker by keys, the earliest.
        probe_at: when its next canary may go.
        fingerprint, error_type, failures: the failure that opened it, or that of its last canary; how many opened it.
        failed_canaries: how many have failed since.
        open: how many slices are open: 0 or 1, or the number of keys.
        parked: runs that it parks, of all keys.
    """

    name: str
    key: str | None
    keyed_by: str | None
    after: int | None
    within_seconds: float | None
    open_seconds: float | None
    opened_at: datetime | None
    probe_at: datetime | None
    fingerprint: str | None
    error_type: str | None
    failures: int | None
    failed_canaries: int
    open: int
    parked: int


def list_breakers(session: Executor) -> list[BreakerRecord]:
    """Every breaker, by name."""
    rows = session.execute(_rows().where(JobBreaker.digest == "").limit(MAX_BREAKERS)).all()
    opened = {
        row.name: row
        for row in session.execute(
            select(
                JobBreaker.name,
                func.count().label("open"),
                func.min(JobBreaker.opened_at).label("opened_at"),
                func.min(JobBreaker.probe_at).label("probe_at"),
            )
            .where(JobBreaker.opened_at.is_not(None))
            .group_by(JobBreaker.name)
        )
    }
    parked = _parked(session)
    return [_record(row, opened.get(row.name), _sum(parked, row.name)) for row in rows]


def open_keys(session: Executor, name: str, *, limit: int = 100) -> list[BreakerRecord]:
    """The keys of a breaker that are open, the longest first."""
    rows = session.execute(
        select(JobBreaker.__table__)
        .where(JobBreaker.name == name, JobBreaker.digest != "", JobBreaker.opened_at.is_not(None))
        .order_by(JobBreaker.opened_at, JobBreaker.digest)
        .limit(limit)
    ).all()
    parked = _parked(session, [Slice(row.name, row.digest) for row in rows])
    return [_record(row, None, parked.get(Slice(row.name, row.digest), 0)) for row in rows]


def find_breaker(session: Executor, one: Slice) -> BreakerRecord | None:
    """A breaker, or one key of it; None if there is none."""
    row = session.execute(_rows().where(_is(one))).one_or_none()
    return None if row is None else _record(row, None, _parked(session, [one]).get(one, 0))


def open_of(
    session: Executor, *, name: str | None = None, digest: str | None = None, fingerprint: str | None = None
) -> list[Slice]:
    """The open slices of a name, of one key of it, or whose last failure has this fingerprint; ``MAX_BREAKERS``."""
    query = select(JobBreaker.name, JobBreaker.digest).where(JobBreaker.opened_at.is_not(None))
    for column, value in ((JobBreaker.name, name), (JobBreaker.digest, digest), (JobBreaker.fingerprint, fingerprint)):
        if value is not None:
            query = query.where(column == value)
    query = query.order_by(JobBreaker.name, JobBreaker.digest).limit(MAX_BREAKERS)
    return [Slice(*row) for row in session.execute(query)]


def live_canaries(session: Executor, one: Slice, *, now: datetime | None = None) -> list[UUID]:
    """The canaries of a slice that perform, or that may be claimed."""
    return [canary.run_id for canary in canaries_of(session, [one], now=now) if canary.is_live]


def _rows() -> Any:
    return select(JobBreaker.__table__).order_by(JobBreaker.name, JobBreaker.digest)


def _is(one: Slice) -> Any:
    return and_(JobBreaker.name == one.name, JobBreaker.digest == one.digest)


def _record(row: Any, opened: Any, parked: int) -> BreakerRecord:
    own = int(row.opened_at is not None)
    return BreakerRecord(
        name=row.name,
        key=row.key if row.digest else None,
        keyed_by=row.keyed_by,
        after=row.after,
        within_seconds=row.within_seconds,
        open_seconds=row.open_seconds,
        opened_at=row.opened_at if opened is None else opened.opened_at,
        probe_at=row.probe_at if opened is None else opened.probe_at,
        fingerprint=row.fingerprint,
        error_type=row.error_type,
        failures=row.failures,
        failed_canaries=row.failed_canaries,
        open=own if opened is None else opened.open,
        parked=parked,
    )


def _parked(session: Executor, slices: Sequence[Slice] | None = None) -> dict[Slice, int]:
    query = select(JobRun.held_on, func.count()).where(text(ON_HOLD)).group_by(JobRun.held_on)
    if slices is None:
        # From the index of held runs alone; the next character after the separator ends the range.
        query = query.where(JobRun.held_on >= PREFIX, JobRun.held_on < PREFIX[:-1] + ";")
    else:
        query = query.where(JobRun.held_on.in_([held_on(one) for one in slices]))
    return {slice_named(str(row[0])): row[1] for row in session.execute(query)}


def _sum(counted: dict[Slice, int], name: str) -> int:
    return sum(number for one, number in counted.items() if one.name == name)
