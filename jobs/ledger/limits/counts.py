"""Locks the rows of limits, and counts their use: the runs that perform on a slot.

Whoever counts locks first, in the order of the keys, and counts by a later statement. At READ COMMITTED, a statement
that does both counts on the snapshot of its start, and lets more runs through than the limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Insert, Text, and_, func, literal_column, or_, select, text, tuple_, update

from jobs.database.models import JobLimit, JobLimitSlot, JobRun, aliased
from jobs.database.sql import Batch, Executor, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.definition.limit import Limit
from jobs.definition.limits import LimitKey
from jobs.definition.rate import Rate
from jobs.ledger.limits.gcra import Pace

HANDOVER_SECONDS = 5.0
"""How long a slot that was handed to a parked run is kept for it. Source: decision; workers claim a ready run within
milliseconds, and if none does, the slot must go to another run."""

Key = tuple[str, str]
"""The name of a limit, and the digest of a key of it."""

_KEYS = Batch("keyed", limit_name=Text(), digest=Text(), key=Text())


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


def make_rows(session: Executor, keys: Iterable[LimitKey], *, now: datetime | None = None) -> None:
    """Make the rows of keys that are used for the first time, before anything of this transaction locks any."""
    dialect = dialect_of(session)
    # In order, so that two processes that make the same rows cannot deadlock.
    rows = {(one.name, one.digest): one.key for one in sorted(keys, key=lambda one: one[:2])}
    given = _KEYS.rows(dialect, [(*one, key) for one, key in rows.items()])
    there = {(row[0], row[1]) for row in session.execute(_there(dialect), given)}
    missing = [(*one, key) for one, key in rows.items() if one not in there]
    if missing:
        session.execute(_add(dialect), {**_KEYS.rows(dialect, missing), "now": now})


def lock_limits(session: Executor, keys: Iterable[Key], *, now: datetime | None = None) -> dict[Key, Rule]:
    """Lock the rows of these keys until the transaction ends, in their order. A key without a row has no rule."""
    dialect = dialect_of(session)
    rows = [(name, digest, None) for name, digest in sorted(set(keys))]
    found = session.execute(_lock(dialect), {**_KEYS.rows(dialect, rows), "now": now})
    return {(row.name, row.digest): _rule(row) for row in found}


def _rule(row: Any) -> Rule:
    holds = (row.own_hold, row.whole_hold, row.run_hold, row.whole_run_hold)
    until = max((one for one in holds if one is not None and one > row.moment), default=None)
    own, whole = (row.own_count, row.own_seconds), (row.count, row.seconds)
    count, seconds = whole if own[0] is None else own
    pace = None if count is None else Pace(count, seconds, row.burst)
    return Rule(row.most, until, pace, row.rate_started, row.rate_lines)


@cache
def _lock(dialect: str) -> Any:
    whole = aliased(JobLimit)
    return (
        select(
            JobLimit.name,
            JobLimit.digest,
            func.coalesce(JobLimit.set_most, whole.set_most, whole.most).label("most"),
            JobLimit.hold_until.label("own_hold"),
            whole.hold_until.label("whole_hold"),
            JobLimit.run_hold_until.label("run_hold"),
            whole.run_hold_until.label("whole_run_hold"),
            JobLimit.set_rate_count.label("own_count"),
            JobLimit.set_rate_seconds.label("own_seconds"),
            func.coalesce(whole.set_rate_count, whole.rate_count).label("count"),
            func.coalesce(whole.set_rate_seconds, whole.rate_seconds).label("seconds"),
            whole.rate_burst.label("burst"),
            JobLimit.rate_started,
            JobLimit.rate_lines,
            ledger_now().label("moment"),
        )
        .join(whole, and_(whole.name == JobLimit.name, whole.digest == ""))
        .where(_among(dialect, JobLimit))
        .order_by(JobLimit.name, JobLimit.digest)
        .with_for_update(of=JobLimit)
    )


@cache
def _there(dialect: str) -> Any:
    return select(JobLimit.name, JobLimit.digest).where(_among(dialect, JobLimit))


@cache
def _add(dialect: str) -> Insert:
    keyed = _KEYS.table(dialect).c
    # Without a WHERE, SQLite cannot tell where the select ends and ON CONFLICT begins.
    rows = (
        select(keyed.limit_name, keyed.digest, keyed.key, ledger_now())
        .where(text("true"))
        .order_by(keyed.limit_name, keyed.digest)
    )
    added: Insert = (
        insert_into(dialect, JobLimit)
        .from_select(["name", "digest", "key", "seen_at"], rows, include_defaults=False)
        .on_conflict_do_nothing()
    )
    return added


def in_use(session: Executor, keys: Iterable[Key], *, now: datetime | None = None) -> dict[Key, int]:
    """How many slots of each key are taken: by runs that perform, and by runs that were handed one just now."""
    rows = [(name, digest, None) for name, digest in keys]
    if not rows:
        return {}
    dialect = dialect_of(session)
    found = session.execute(_count(dialect), {**_KEYS.rows(dialect, rows), "now": now})
    return {(row[0], row[1]): row[2] for row in found}


def takes_slot() -> Any:
    """Whether a slot joined with its run counts.

    A run with an expired lease counts until its attempt is ended: its worker may still renew the lease.
    """
    is_performing = JobRun.token == JobLimitSlot.token
    is_handed = and_(
        JobLimitSlot.token.is_(None),
        JobLimitSlot.taken_at > plus_seconds(ledger_now(), literal_column(str(-HANDOVER_SECONDS))),
        JobRun.state == literal_column("'queued'"),
        JobRun.hold.is_(None),
    )
    return or_(is_performing, is_handed)


@cache
def _count(dialect: str) -> Any:
    return (
        select(JobLimitSlot.name, JobLimitSlot.digest, func.count())
        .join(JobRun, JobRun.id == JobLimitSlot.run_id)
        .where(_among(dialect, JobLimitSlot), takes_slot())
        .group_by(JobLimitSlot.name, JobLimitSlot.digest)
    )


def _among(dialect: str, model: type[JobLimit] | type[JobLimitSlot]) -> Any:
    keyed = _KEYS.table(dialect).c
    return tuple_(model.name, model.digest).in_(select(keyed.limit_name, keyed.digest))
