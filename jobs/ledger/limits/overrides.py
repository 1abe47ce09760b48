"""What operators set of limits: another number or rate, or a hold until a moment; for all keys, or for one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select, update

from jobs.database.models import JobLimit
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now
from jobs.ledger.limits.counts import Key

Override = Mapping[str, Any]
"""``set_most``, ``set_rate`` and ``hold_until`` as plain values: a number, a count and seconds, and ISO text in UTC."""
NOTHING: Override = {"set_most": None, "set_rate": None, "hold_until": None}


def override_of(session: Executor, key: Key, *, lock: bool = False) -> dict[str, Any]:
    """What is set of this limit, or of this key of it; all None if nothing is."""
    columns = (JobLimit.set_most, JobLimit.set_rate_count, JobLimit.set_rate_seconds, JobLimit.hold_until)
    query = select(*columns).where(_is(key))
    row = session.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return dict(NOTHING)
    until = row.hold_until.isoformat(timespec="microseconds") if row.hold_until is not None else None
    rate = None if row.set_rate_count is None else [row.set_rate_count, row.set_rate_seconds]
    return {"set_most": row.set_most, "set_rate": rate, "hold_until": until}


def set_override(
    session: Executor, key: Key, override: Override, *, shown: str | None = None, now: datetime | None = None
) -> None:
    """Set all values; the next claim applies them.

    Args:
        override: a value that is left out is None: an earlier release recorded fewer.
        shown: the key as text, for a key that no run has had yet.
    """
    override = {**NOTHING, **override}
    until = override["hold_until"]
    count, seconds = override["set_rate"] or (None, None)
    values = {
        "set_most": override["set_most"],
        "set_rate_count": count,
        "set_rate_seconds": seconds,
        "hold_until": None if until is None else datetime.fromisoformat(until),
    }
    name, digest = key
    row = insert_into(dialect_of(session), JobLimit).values(name=name, digest=digest, key=shown, seen_at=ledger_now())
    session.execute(row.on_conflict_do_nothing(), {"now": now})
    session.execute(update(JobLimit).where(_is(key)).values(**values))


def clear_run_hold(session: Executor, key: Key, *, now: datetime | None = None) -> bool:
    """End what runs asked for of this limit, or of this key of it. Returns whether it was held now."""
    held = and_(_is(key), JobLimit.run_hold_until > ledger_now())
    cleared = update(JobLimit).where(held).values(run_hold_until=None, run_hold_by=None).returning(JobLimit.name)
    return session.execute(cleared, {"now": now}).first() is not None


def _is(key: Key) -> Any:
    return and_(JobLimit.name == key[0], JobLimit.digest == key[1])
