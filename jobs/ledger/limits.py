"""Limits: how often something was tried of late. Exact: whoever counts holds the row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from jobs.models import OperatorLimit
from jobs.sql import Executor, dialect_of, insert_into

SWEPT = 200


def try_once(session: Executor, keys: Sequence[str], *, now: datetime, most: int, within: timedelta) -> float | None:
    """Count a try against each key. None: it may be; else seconds until it may, and nothing was counted."""
    # In one order, so that two who try do not wait for each other.
    held = {key: _hold(session, key, now=now, since=now - within) for key in sorted(set(keys))}
    full = [moments[-most] for moments in held.values() if len(moments) >= most]
    if full:
        return max((max(full) + within - now).total_seconds(), 0.0)
    for key, moments in held.items():
        _write(session, key, [*moments, now])
    return None


def forget(session: Executor, key: str, *, moment: datetime | None = None) -> None:
    """Take one try back, or all of them."""
    row = session.execute(
        select(OperatorLimit.moments).where(OperatorLimit.key == key).with_for_update()
    ).one_or_none()  # fmt: skip
    if row is not None:
        gone = None if moment is None else moment.isoformat()
        left = [] if gone is None else [one for one in row.moments if one != gone]
        _write(session, key, [datetime.fromisoformat(one) for one in left])


def sweep(session: Executor, *, before: datetime) -> None:
    """Clear away some of what is too old to count."""
    old = select(OperatorLimit.key).where(OperatorLimit.touched_at < before).limit(SWEPT)
    session.execute(
        delete(OperatorLimit).where(OperatorLimit.key.in_(old)).execution_options(synchronize_session=False)
    )


def _hold(session: Executor, key: str, *, now: datetime, since: datetime) -> list[datetime]:
    """The tries since then, oldest first; the row is ours until the transaction ends."""
    query = insert_into(dialect_of(session), OperatorLimit).values(key=key, moments="[]", touched_at=now)
    row = session.execute(
        query.on_conflict_do_update(index_elements=["key"], set_={"touched_at": now}).returning(OperatorLimit.moments)
    ).one()
    moments = [datetime.fromisoformat(one) for one in row.moments]
    return [one for one in moments if one > since]


def _write(session: Executor, key: str, moments: Sequence[datetime]) -> None:
    session.execute(
        update(OperatorLimit)
        .where(OperatorLimit.key == key)
        .values(moments=json.dumps([one.isoformat() for one in moments]))
        .execution_options(synchronize_session=False)
    )
