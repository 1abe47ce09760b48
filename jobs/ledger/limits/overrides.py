"""What operators set of limits: another number, or a hold until a moment; for all keys, or for one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select, update

from jobs.database.models import JobLimit
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now
from jobs.ledger.limits.counts import Key

Override = Mapping[str, Any]
"""``set_most`` and ``hold_until`` as plain values: a number, and ISO text in UTC."""
NOTHING: Override = {"set_most": None, "hold_until": None}


def override_of(session: Executor, key: Key, *, lock: bool = False) -> dict[str, Any]:
    """What is set of this limit, or of this key of it; both None if nothing is."""
    query = select(JobLimit.set_most, JobLimit.hold_until).where(_is(key))
    row = session.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return dict(NOTHING)
    until = row.hold_until.isoformat(timespec="microseconds") if row.hold_until is not None else None
    return {"set_most": row.set_most, "hold_until": until}


def set_override(
    session: Executor, key: Key, override: Override, *, shown: str | None = None, now: datetime | None = None
) -> None:
    """Set both values; the next claim applies them.

    Args:
        shown: the key as text, for a key that no run has had yet.
    """
    until = override["hold_until"]
    values = {
        "set_most": override["set_most"],
        "hold_until": None if until is None else datetime.fromisoformat(until),
    }
    name, digest = key
    row = insert_into(dialect_of(session), JobLimit).values(name=name, digest=digest, key=shown, seen_at=ledger_now())
    session.execute(row.on_conflict_do_nothing(), {"now": now})
    session.execute(update(JobLimit).where(_is(key)).values(**values).execution_options(synchronize_session=False))


def _is(key: Key) -> Any:
    return and_(JobLimit.name == key[0], JobLimit.digest == key[1])
