"""Gives slots on: the end of an attempt gives its slots to the next parked runs, in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, delete, select

from jobs.database.models import JobLimitSlot
from jobs.database.sql import Batch, Executor, dialect_of, one_of
from jobs.ledger.limits.counts import Key, in_use, lock_limits
from jobs.ledger.limits.parked import release_next
from jobs.ledger.limits.slots import take_slots
from jobs.ledger.records import Freed

_IDS = Batch("gone", id=Uuid())


def leave_slots(session: Executor, run_ids: Collection[UUID], *, now: datetime | None = None) -> list[Freed]:
    """Give back the slots of runs that perform no longer, and hand them on. Returns the runs that are ready now.

    Call it last in a transaction that moves runs: it locks the rows of limits, and every transaction locks runs first.
    """
    if not run_ids:
        return []
    dialect = dialect_of(session)
    left = session.execute(_leave(dialect), _IDS.rows(dialect, [(one,) for one in run_ids]))
    return reassign(session, {(row[0], row[1]) for row in left}, now=now)


def reassign(session: Executor, keys: Iterable[Key], *, now: datetime | None = None) -> list[Freed]:
    """Make the next parked runs of these limits ready, as far as there is room."""
    wanted = set(keys)
    if not wanted:
        return []
    rules = lock_limits(session, wanted, now=now)
    used = in_use(session, rules, now=now)
    room = {
        key: rule.most - used.get(key, 0)
        for key, rule in rules.items()
        if rule.most is not None and rule.hold_until is None
    }
    released = release_next(session, room, now=now)
    take_slots(session, [(one.run_id, key, None) for one, key in released], now=now)
    return [one for one, _ in released]


@cache
def _leave(dialect: str) -> Any:
    return (
        delete(JobLimitSlot)
        .where(one_of(dialect, JobLimitSlot.run_id, select(_IDS.table(dialect).c.id)))
        .returning(JobLimitSlot.name, JobLimitSlot.digest)
        .execution_options(synchronize_session=False)
    )
