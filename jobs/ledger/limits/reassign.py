"""Gives slots on: the end of an attempt gives its slots to the next parked runs, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, delete, select

from jobs.database.direct_statements import DirectConnection, DirectStatement, Runner
from jobs.database.models import JobLimitSlot
from jobs.database.sql import Batch, dialect_of, one_of
from jobs.ledger.limits.counts import Key, in_use, lock_limits
from jobs.ledger.limits.exchange import exchange, read, rows_of_successors
from jobs.ledger.limits.parked import release_next, with_parked
from jobs.ledger.limits.slots import take_away, take_slots
from jobs.ledger.records import Freed

_GONE = Batch("gone", id=Uuid(), token=Uuid())


def leave_slots(runner: Runner, gone: Mapping[UUID, UUID | None], *, now: datetime | None = None) -> list[Freed]:
    """Give back the slots of runs that perform no longer, and hand them on. Returns the runs that are ready now.

    Call it last in a transaction that moves runs: it may lock rows of limits, and every transaction locks runs first.

    Args:
        gone: the runs, with the tokens of their claims; None: it was not claimed.
    """
    if not gone:
        return []
    dialect = dialect_of(runner)
    given = _GONE.rows(dialect, list(gone.items()))
    if dialect == "postgresql":
        done = read(_EXCHANGE.rows(runner, {**given, **rows_of_successors(None, worker=None), "now": now}))
        return done.freed + reassign(runner, done.left, now=now)
    return reassign(runner, {(row[0], row[1]) for row in _LEAVE.rows(runner, given)}, now=now)


def return_slots(runner: Runner, run_ids: Sequence[UUID], *, now: datetime | None = None) -> list[Freed]:
    """Give back the slots that were handed to runs which are parked again. Returns the runs that are ready now.

    Counts, because another run of the same claim may have taken them.
    """
    if not run_ids:
        return []
    given = _GONE.rows(dialect_of(runner), [(one, None) for one in run_ids])
    return reassign(runner, {(row[0], row[1]) for row in _LEAVE.rows(runner, given)}, now=now)


def reassign(runner: Runner, keys: Iterable[Key], *, now: datetime | None = None) -> list[Freed]:
    """Make the next parked runs of these limits ready, as far as there is room."""
    wanted = set(keys)
    if not wanted:
        return []
    rules = lock_limits(runner, wanted, now=now)
    open_rules = {key: rule for key, rule in rules.items() if rule.most is not None and rule.hold_until is None}
    some = with_parked(runner, open_rules)
    if not some:
        return []
    take_away(runner, some, now=now)
    used = in_use(runner, some)
    room = {key: (open_rules[key].most or 0) - used.get(key, 0) for key in some}
    released = release_next(runner, room, now=now)
    take_slots(runner, [(one.run_id, key, None) for one, key in released], now=now)
    return [one for one, _ in released]


def left_parked(direct: DirectConnection, keys: Sequence[Key], *, now: datetime | None = None) -> list[Key]:
    """Those of these keys that runs are parked on, after an exchange that has committed. PostgreSQL only.

    Waits for the claims that are parking runs of them now.
    """
    lock_limits(direct, keys, now=now)
    return with_parked(direct, keys)


@cache
def _exchange(dialect: str) -> Any:
    result, parts = exchange(_GONE.table(dialect))
    return select(*result.c).add_cte(*parts)


@cache
def _leave(dialect: str) -> Any:
    return (
        delete(JobLimitSlot)
        .where(one_of(dialect, JobLimitSlot.run_id, select(_GONE.table(dialect).c.id)))
        .returning(JobLimitSlot.name, JobLimitSlot.digest)
    )


_EXCHANGE, _LEAVE = DirectStatement(_exchange), DirectStatement(_leave)
