"""Gives slots on: the end of an attempt gives its slots to the next parked runs, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Boolean, Uuid, and_, bindparam, delete, false, literal_column, select, true

from jobs.database.direct_statements import DirectConnection, DirectStatement, Runner
from jobs.database.models import JobLimitSlot, JobRateSlot, JobRun
from jobs.database.sql import RowBatch, dialect_of, one_of
from jobs.ledger.limits.counts import Key, in_use, lock_limits
from jobs.ledger.limits.exchange import exchange, held_on_key, read
from jobs.ledger.limits.parked import release_next, with_parked
from jobs.ledger.limits.rates import forget_reservations
from jobs.ledger.limits.slots import take_away, take_slots
from jobs.ledger.records import Freed
from jobs.states import Hold

_GONE = RowBatch("gone", id=Uuid(), token=Uuid())


class PassedOn(NamedTuple):
    """The parked runs that have slots now, and the keys of slots that nobody took: call ``left_parked`` with those."""

    freed: list[Freed]
    left: list[Key]


def leave_slots(runner: Runner, gone: Mapping[UUID, UUID | None], *, now: datetime | None = None) -> list[Freed]:
    """Give back the slots of runs that perform no longer, and hand them on. Returns the runs that are ready now.

    Call it last in a transaction that moves runs, and only once: it may lock rows of limits. Every transaction locks
    runs first, and then these rows in the order of their keys.

    Args:
        gone: the runs, with the tokens of their claims; None: it was not claimed.
    """
    passed = pass_slots_on(runner, gone, now=now)
    return passed.freed + reassign(runner, passed.left, now=now)


def pass_slots_on(
    runner: Runner, gone: Mapping[UUID, UUID | None], *, ends_attempts: bool = False, now: datetime | None = None
) -> PassedOn:
    """The same without a lock: the caller checks after its commit whether a claim has parked runs of ``left``.

    Args:
        ends_attempts: delete the reservations of rates too.
    """
    if not gone:
        return PassedOn([], [])
    dialect = dialect_of(runner)
    given = _GONE.rows(dialect, list(gone.items()))
    if dialect != "postgresql":
        if ends_attempts:
            forget_reservations(runner, list(gone))
        return PassedOn(reassign(runner, {(row[0], row[1]) for row in _LEAVE.rows(runner, given)}, now=now), [])
    slots = _LEAVE_UNWANTED.rows(runner, {**given, "ends_attempts": ends_attempts})
    left = [(name, digest) for is_wanted, name, digest in slots if not is_wanted]
    if len(left) == len(slots):
        return PassedOn([], left)
    done = exchange_slots(runner, gone, now=now)
    return PassedOn(done.freed, left + done.left)


def exchange_slots(runner: Runner, gone: Mapping[UUID, UUID | None], *, now: datetime | None = None) -> PassedOn:
    """Give the slots of these runs to the next parked runs, one for one. PostgreSQL only."""
    done = read(_EXCHANGE.rows(runner, {**_GONE.rows("postgresql", list(gone.items())), "now": now}))
    return PassedOn(done.freed, done.left)


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


def left_parked(direct: DirectConnection, keys: Sequence[Key]) -> list[Key]:
    """Those of these keys that runs are parked on, after the ends of attempts that have committed. PostgreSQL only.

    A claim that is parking a run now does not show. It looks for room after its own commit (``with_room``): whichever
    of the two commits last finds what the other one did, so neither needs a lock.
    """
    return with_parked(direct, keys)


@cache
def _exchange(dialect: str) -> Any:
    result, parts = exchange(_GONE.table(dialect), may_claim=False)
    return select(*result.c).add_cte(*parts)


def leave_unwanted(gone: Any) -> Any:
    """Delete the slots of the runs that ``gone`` selects which no parked run waits for. Names these and the others, by
    a column ``is_wanted``. PostgreSQL only.

    Planned in half the time of an exchange, for connections that keep no plans.
    """
    is_theirs = one_of("postgresql", JobLimitSlot.run_id, gone)
    slots = select(JobLimitSlot.run_id, JobLimitSlot.name, JobLimitSlot.digest).where(is_theirs).cte("slots")
    parked = (
        select(JobRun.id)
        .where(
            JobRun.state == literal_column("'queued'"),
            JobRun.hold == literal_column(f"'{Hold.PARKED.value}'"),
            JobRun.held_on == held_on_key(slots),
        )
        .limit(literal_column("1"))
        .correlate(slots)
        .scalar_subquery()
    )
    wanted = select(*slots.c).where(parked.is_not(None)).cte("wanted")
    same = and_(wanted.c.run_id == JobLimitSlot.run_id, wanted.c.name == JobLimitSlot.name)
    left = (
        delete(JobLimitSlot)
        .where(is_theirs, ~select(wanted.c.run_id).where(same).correlate(JobLimitSlot).exists())
        .returning(JobLimitSlot.name, JobLimitSlot.digest)
        .cte("left_slots")
    )
    some = select(true().label("is_wanted"), wanted.c.name, wanted.c.digest)
    return some.union_all(select(false().label("is_wanted"), left.c.name, left.c.digest))


@cache
def _leave_unwanted(dialect: str) -> Any:
    gone = select(_GONE.table(dialect).c.id)
    used = (
        delete(JobRateSlot)
        .where(bindparam("ends_attempts", type_=Boolean()), one_of(dialect, JobRateSlot.run_id, gone))
        .returning(JobRateSlot.run_id)
        .cte("used_reservations")
    )
    return leave_unwanted(gone).add_cte(used)


@cache
def _leave(dialect: str) -> Any:
    return (
        delete(JobLimitSlot)
        .where(one_of(dialect, JobLimitSlot.run_id, select(_GONE.table(dialect).c.id)))
        .returning(JobLimitSlot.name, JobLimitSlot.digest)
    )


_EXCHANGE, _LEAVE = DirectStatement(_exchange), DirectStatement(_leave)
_LEAVE_UNWANTED = DirectStatement(_leave_unwanted)
