"""Locks the rows of limits, and counts their use: the runs that perform on a slot.

Whoever counts locks first, in the order of the keys, and counts by a later statement. At READ COMMITTED, a statement
that does both counts on the snapshot of its start, and lets more runs through than the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Insert, Text, and_, func, literal_column, or_, select, text, true, tuple_, update

from jobs.database.direct_statements import DirectStatement, Runner
from jobs.database.models import JobLimit, JobLimitSlot, JobRun, aliased
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now
from jobs.definition.limit import Limit
from jobs.definition.limits import LimitKey
from jobs.definition.rate import Rate
from jobs.ledger.limits.gcra import Pace

Key = tuple[str, str]
"""The name of a limit, and the digest of a key of it."""

_KEYS = RowBatch("keyed", limit_name=Text(), digest=Text(), key=Text())


class Rule(NamedTuple):
    """What applies to a key now: at most so many runs, or a rate; if it is held, none before ``hold_until``.

    ``started`` and ``lines`` are the state of the rate's key.
    """

    most: int | None = None
    hold_until: datetime | None = None
    pace: Pace | None = None
    started: int | None = None
    lines: str | None = None


def declare(session: Executor, limits: Iterable[Limit | Rate], *, now: datetime | None = None) -> list[str]:
    """Record what code declares. Returns the names of those that may allow more than before."""
    changed = []
    for limit in sorted(limits, key=lambda one: str(one.name)):
        given = {"name": limit.name, "digest": "", "seen_at": ledger_now()}
        added = insert_into(dialect_of(session), JobLimit).values(**given).on_conflict_do_nothing()
        session.execute(added, {"now": now})
        own = and_(JobLimit.name == limit.name, JobLimit.digest == "")
        values = _declared(limit)
        before = session.execute(select(*(getattr(JobLimit, name) for name in values)).where(own)).one()._mapping
        if dict(before) != values:
            session.execute(update(JobLimit).where(own).values(**values))
            if isinstance(limit, Rate) or before["most"] is None or before["most"] < limit.most:
                changed.append(str(limit.name))
    return changed


def _declared(limit: Limit | Rate) -> dict[str, Any]:
    if isinstance(limit, Limit):
        return {"most": limit.most, "keyed_by": limit.by}
    return {
        "rate_count": limit.count,
        "rate_seconds": limit.per.total_seconds(),
        "rate_burst": limit.burst,
        "rate_keyed_by": limit.by,
    }


def make_rows(runner: Runner, keys: Iterable[LimitKey], *, now: datetime | None = None) -> None:
    """Make the rows of keys that are used for the first time, before anything of this transaction locks any."""
    dialect = dialect_of(runner)
    # In order, so that two processes that make the same rows cannot deadlock.
    rows = {(one.name, one.digest): one.key for one in sorted(keys, key=lambda one: one[:2])}
    given = _KEYS.rows(dialect, [(*one, key) for one, key in rows.items()])
    there = {(row[0], row[1]) for row in _THERE.rows(runner, given)}
    missing = [(*one, key) for one, key in rows.items() if one not in there]
    if missing:
        _ADD.rows(runner, {**_KEYS.rows(dialect, missing), "now": now})


def lock_limits(runner: Runner, keys: Iterable[Key], *, now: datetime | None = None) -> dict[Key, Rule]:
    """Lock the rows of these keys until the transaction ends, in their order. A key without a row has no rule."""
    return send_lock(runner, keys, now=now)()


def send_lock(runner: Runner, keys: Iterable[Key], *, now: datetime | None = None) -> Callable[[], dict[Key, Rule]]:
    """``lock_limits`` whose result is read later. The statements that follow begin once the rows are locked."""
    read = _LOCK.send(runner, {**rows_of(dialect_of(runner), sorted(set(keys))), "now": now})
    return lambda: {(row[0], row[1]): _rule(row) for row in read()}


def with_room(runner: Runner, keys: Sequence[Key], *, now: datetime | None = None) -> list[Key]:
    """Those of these keys that seem to have room. Locks nothing, so whoever takes it counts again."""
    found = _RULES.rows(runner, {**rows_of(dialect_of(runner), keys), "now": now})
    rules = {(row[0], row[1]): _rule(row) for row in found}
    used = in_use(runner, keys)
    return [
        key
        for key, rule in rules.items()
        if rule.most is not None and rule.hold_until is None and used.get(key, 0) < rule.most
    ]


def rows_of(dialect: str, keys: Iterable[Key]) -> dict[str, Any]:
    """Keys as the parameters of ``keyed``."""
    return _KEYS.rows(dialect, [(name, digest, None) for name, digest in keys])


def _rule(row: Any) -> Rule:
    _, _, most, *holds, own_count, own_seconds, count, seconds, burst, started, lines, moment = row
    until = max((one for one in holds if one is not None and one > moment), default=None)
    if own_count is not None:
        count, seconds = own_count, own_seconds
    return Rule(most, until, None if count is None else Pace(count, seconds, burst), started, lines)


def keyed(dialect: str) -> Any:
    """The keys that ``rows_of`` gives, in their order."""
    return _KEYS.table(dialect)


def _lock(dialect: str) -> Any:
    return _rules(dialect, locks=True)


@cache
def _rules(dialect: str, *, locks: bool = False) -> Any:
    own: Any = JobLimit
    source: Any = JobLimit
    if dialect == "postgresql":
        given = keyed(dialect)
        row = (
            select(JobLimit.__table__)
            .where(JobLimit.name == given.c.limit_name, JobLimit.digest == given.c.digest)
            .correlate(given)
        )
        found = (row.with_for_update() if locks else row).lateral("own")
        # One after another in the order given, whatever the planner expects.
        own, source = found.c, given.join(found, true())
    whole = aliased(JobLimit)
    rules = select(
        own.name,
        own.digest,
        func.coalesce(own.set_most, whole.set_most, whole.most).label("most"),
        own.hold_until,
        whole.hold_until,
        own.run_hold_until,
        whole.run_hold_until,
        own.set_rate_count,
        own.set_rate_seconds,
        func.coalesce(whole.set_rate_count, whole.rate_count),
        func.coalesce(whole.set_rate_seconds, whole.rate_seconds),
        whole.rate_burst,
        own.rate_started,
        own.rate_lines,
        ledger_now(),
    ).select_from(source)
    rules = rules.join(whole, and_(whole.name == own.name, whole.digest == literal_column("''")))
    if dialect == "postgresql":
        return rules
    return rules.where(_among(dialect, JobLimit)).order_by(JobLimit.name, JobLimit.digest)


@cache
def _there(dialect: str) -> Any:
    return select(JobLimit.name, JobLimit.digest).where(_among(dialect, JobLimit))


@cache
def _add(dialect: str) -> Insert:
    given = keyed(dialect).c
    # Without a WHERE, SQLite cannot tell where the select ends and ON CONFLICT begins.
    rows = (
        select(given.limit_name, given.digest, given.key, ledger_now())
        .where(text("true"))
        .order_by(given.limit_name, given.digest)
    )
    added: Insert = (
        insert_into(dialect, JobLimit)
        .from_select(["name", "digest", "key", "seen_at"], rows, include_defaults=False)
        .on_conflict_do_nothing()
    )
    return added


def in_use(runner: Runner, keys: Iterable[Key]) -> dict[Key, int]:
    """How many slots of each key are taken: by runs that perform, and by runs that were handed one just now."""
    return send_count(runner, keys)()


def send_count(runner: Runner, keys: Iterable[Key]) -> Callable[[], dict[Key, int]]:
    """``in_use`` whose result is read later."""
    given = list(keys)
    if not given:
        return dict
    read = _COUNT.send(runner, rows_of(dialect_of(runner), given))
    return lambda: {(row[0], row[1]): row[2] for row in read()}


def takes_slot() -> Any:
    """Whether a slot joined with its run counts.

    A run with an expired lease counts until its attempt is ended: its worker may still renew the lease. A slot that was
    handed to a parked run counts until the run is claimed or ends, or until the slot is taken away from it.
    """
    is_performing = JobRun.token == JobLimitSlot.token
    is_handed = and_(JobLimitSlot.token.is_(None), JobRun.state == literal_column("'queued'"), JobRun.hold.is_(None))
    return or_(is_performing, is_handed)


@cache
def _count(dialect: str) -> Any:
    counted = select(func.count()).select_from(JobLimitSlot).join(JobRun, JobRun.id == JobLimitSlot.run_id)
    if dialect == "postgresql":
        given = keyed(dialect)
        same = and_(JobLimitSlot.name == given.c.limit_name, JobLimitSlot.digest == given.c.digest)
        used = counted.where(same, takes_slot()).correlate(given).scalar_subquery()
        return select(given.c.limit_name, given.c.digest, used)
    return (
        counted.with_only_columns(JobLimitSlot.name, JobLimitSlot.digest, func.count())
        .where(_among(dialect, JobLimitSlot), takes_slot())
        .group_by(JobLimitSlot.name, JobLimitSlot.digest)
    )


def _among(dialect: str, model: type[JobLimit] | type[JobLimitSlot]) -> Any:
    given = keyed(dialect).c
    return tuple_(model.name, model.digest).in_(select(given.limit_name, given.digest))


_LOCK, _RULES, _COUNT = DirectStatement(_lock), DirectStatement(_rules), DirectStatement(_count)
_THERE, _ADD = DirectStatement(_there), DirectStatement(_add)
