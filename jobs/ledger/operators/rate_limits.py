"""Counts recent attempts exactly: the code that counts locks the row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from jobs.clock import doubled
from jobs.database.models import OperatorLimit
from jobs.database.sql import Executor, dialect_of, insert_into

SWEPT = 200
REMEMBERED = 4
"""For how many spans an attempt counts towards the next delay. Source: decision."""
FIRST_DELAY = timedelta(minutes=1)
"""The wait after the last free attempt; it doubles with each further one, up to the span. Source: decision."""
MOST_MOMENTS = 100
KEPT = "known:"
"""Prefix of keys that store long-lived facts instead of attempts."""


def try_once(
    session: Executor,
    keys: Sequence[str],
    *,
    now: datetime,
    most: int,
    within: timedelta,
    fewer: Mapping[str, int] | None = None,
) -> float | None:
    """Count an attempt against each key. None: allowed; else seconds until it is, and nothing was counted or written.

    Args:
        most: free attempts; each further one waits twice as long as the one before, up to ``within``.
        fewer: the same for some of the keys.
    """
    free = dict.fromkeys(set(keys), most) | dict(fewer or {})
    wait = _longest(_read(session, list(free), now=now, within=within), free, now=now, within=within)
    if wait:
        return wait
    # In one order, so that two attempts cannot deadlock.
    held = {key: _hold(session, key, now=now, within=within) for key in sorted(free)}
    wait = _longest(held, free, now=now, within=within)
    if wait:
        # Another process was faster. Remove the rows that were made to count this attempt.
        _forget_empty(session, [key for key, moments in held.items() if not moments])
        return wait
    for key, moments in held.items():
        _write(session, key, [*moments, now])
    return None


def add(session: Executor, key: str, *, now: datetime, within: timedelta) -> int:
    """Count against a key without refusing; returns its recent count, ``MOST_MOMENTS`` at most."""
    moments = [*_hold(session, key, now=now, within=within), now][-MOST_MOMENTS:]
    _write(session, key, moments)
    return len(moments)


def count(session: Executor, key: str, *, now: datetime, within: timedelta) -> int:
    """The recent count of a key."""
    return len(_read(session, [key], now=now, within=within).get(key, []))


def know(session: Executor, key: str, *, now: datetime) -> None:
    """Remember a key that begins with ``KEPT``."""
    query = insert_into(dialect_of(session), OperatorLimit).values(key=key, moments="[]", touched_at=now)
    session.execute(query.on_conflict_do_update(index_elements=["key"], set_={"touched_at": now}))


def is_known(session: Executor, key: str, *, since: datetime) -> bool:
    """Whether a key was remembered since then."""
    return (
        session.execute(
            select(OperatorLimit.key).where(OperatorLimit.key == key, OperatorLimit.touched_at > since)
        ).one_or_none()
        is not None
    )


def forget(session: Executor, key: str, *, moment: datetime | None = None) -> None:
    """Remove one attempt, or all of them."""
    row = session.execute(
        select(OperatorLimit.moments).where(OperatorLimit.key == key).with_for_update()
    ).one_or_none()  # fmt: skip
    if row is not None:
        gone = None if moment is None else moment.isoformat()
        left = [] if gone is None else [one for one in row.moments if one != gone]
        _write(session, key, [datetime.fromisoformat(one) for one in left])


def sweep(session: Executor, *, before: datetime, known_before: datetime) -> None:
    """Delete some of the attempts that are too old to count."""
    is_kept = OperatorLimit.key.startswith(KEPT, autoescape=True)
    old = (
        select(OperatorLimit.key)
        .where(OperatorLimit.touched_at < before, or_(~is_kept, OperatorLimit.touched_at < known_before))
        .limit(SWEPT)
    )
    session.execute(delete(OperatorLimit).where(OperatorLimit.key.in_(old)))


def _longest(
    held: Mapping[str, Sequence[datetime]], free: Mapping[str, int], *, now: datetime, within: timedelta
) -> float:
    """Seconds until no key refuses any more; 0.0: none does."""
    waits = [0.0]
    for key, moments in held.items():
        over = len(moments) - free[key]
        if over >= 0:
            delay = doubled(FIRST_DELAY.total_seconds(), over, most=within.total_seconds())
            waits.append((moments[-1] - now).total_seconds() + delay)
    return max(waits)


def _read(
    session: Executor, keys: Sequence[str], *, now: datetime, within: timedelta
) -> dict[str, list[datetime]]:  # fmt: skip
    rows = session.execute(select(OperatorLimit.key, OperatorLimit.moments).where(OperatorLimit.key.in_(keys)))
    return {row.key: _since(row.moments, now - REMEMBERED * within) for row in rows}


def _hold(session: Executor, key: str, *, now: datetime, within: timedelta) -> list[datetime]:
    """The recent attempts, oldest first; the row is locked until the transaction ends."""
    query = insert_into(dialect_of(session), OperatorLimit).values(key=key, moments="[]", touched_at=now)
    row = session.execute(
        query.on_conflict_do_update(index_elements=["key"], set_={"touched_at": now}).returning(OperatorLimit.moments)
    ).one()
    return _since(row.moments, now - REMEMBERED * within)


def _since(moments: Sequence[str], since: datetime) -> list[datetime]:
    return [one for one in map(datetime.fromisoformat, moments) if one > since]


def _write(session: Executor, key: str, moments: Sequence[datetime]) -> None:
    session.execute(
        update(OperatorLimit)
        .where(OperatorLimit.key == key)
        .values(moments=json.dumps([one.isoformat() for one in moments]))
    )


def _forget_empty(session: Executor, keys: Sequence[str]) -> None:
    session.execute(delete(OperatorLimit).where(OperatorLimit.key.in_(keys)))
