"""Counts recent tries, exactly: whoever counts locks the row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from jobs.database.models import OperatorLimit
from jobs.database.sql import Executor, dialect_of, insert_into

SWEPT = 200
REMEMBERED = 4
"""For how many spans a try counts towards the next delay."""
FIRST_DELAY = timedelta(minutes=1)
"""The wait after the last try that is free; it doubles with each more, up to the span. Source: decision."""
MOST_MOMENTS = 100
KEPT = "known:"
"""How keys begin that say what is known for long, not what was tried."""


def try_once(
    session: Executor,
    keys: Sequence[str],
    *,
    now: datetime,
    most: int,
    within: timedelta,
    fewer: Mapping[str, int] | None = None,
) -> float | None:
    """Count a try against each key. None: it may be; else seconds until it may, and nothing was counted or written.

    Args:
        most: tries that are free; each more waits twice as long as the one before, up to ``within``.
        fewer: the same for some of the keys.
    """
    free = dict.fromkeys(set(keys), most) | dict(fewer or {})
    wait = _longest(_read(session, list(free), now=now, within=within), free, now=now, within=within)
    if wait:
        return wait
    # In one order, so that two who try do not wait for each other.
    held = {key: _hold(session, key, now=now, within=within) for key in sorted(free)}
    wait = _longest(held, free, now=now, within=within)
    if wait:
        # Another was faster. What was made to count it goes again.
        _forget_empty(session, [key for key, moments in held.items() if not moments])
        return wait
    for key, moments in held.items():
        _write(session, key, [*moments, now])
    return None


def add(session: Executor, key: str, *, now: datetime, within: timedelta) -> int:
    """Count against a key that refuses nothing; how many it has of late, ``MOST_MOMENTS`` at most."""
    moments = [*_hold(session, key, now=now, within=within), now][-MOST_MOMENTS:]
    _write(session, key, moments)
    return len(moments)


def count(session: Executor, key: str, *, now: datetime, within: timedelta) -> int:
    """How many a key has of late."""
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
    """Take one try back, or all of them."""
    row = session.execute(
        select(OperatorLimit.moments).where(OperatorLimit.key == key).with_for_update()
    ).one_or_none()  # fmt: skip
    if row is not None:
        gone = None if moment is None else moment.isoformat()
        left = [] if gone is None else [one for one in row.moments if one != gone]
        _write(session, key, [datetime.fromisoformat(one) for one in left])


def sweep(session: Executor, *, before: datetime, known_before: datetime) -> None:
    """Clear away some of what is too old to count."""
    is_kept = OperatorLimit.key.startswith(KEPT, autoescape=True)
    old = (
        select(OperatorLimit.key)
        .where(OperatorLimit.touched_at < before, or_(~is_kept, OperatorLimit.touched_at < known_before))
        .limit(SWEPT)
    )
    session.execute(
        delete(OperatorLimit).where(OperatorLimit.key.in_(old)).execution_options(synchronize_session=False)
    )


def _longest(
    held: Mapping[str, Sequence[datetime]], free: Mapping[str, int], *, now: datetime, within: timedelta
) -> float:
    """Seconds until none of the keys refuses any more; 0.0: none does."""
    waits = [0.0]
    for key, moments in held.items():
        over = len(moments) - free[key]
        if over >= 0:
            delay = min(FIRST_DELAY * 2 ** min(over, 10), within)
            waits.append((moments[-1] + delay - now).total_seconds())
    return max(waits)


def _read(
    session: Executor, keys: Sequence[str], *, now: datetime, within: timedelta
) -> dict[str, list[datetime]]:  # fmt: skip
    rows = session.execute(select(OperatorLimit.key, OperatorLimit.moments).where(OperatorLimit.key.in_(keys)))
    return {row.key: _since(row.moments, now - REMEMBERED * within) for row in rows}


def _hold(session: Executor, key: str, *, now: datetime, within: timedelta) -> list[datetime]:
    """The tries of late, oldest first; the row is ours until the transaction ends."""
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
        .execution_options(synchronize_session=False)
    )


def _forget_empty(session: Executor, keys: Sequence[str]) -> None:
    session.execute(
        delete(OperatorLimit).where(OperatorLimit.key.in_(keys)).execution_options(synchronize_session=False)
    )
