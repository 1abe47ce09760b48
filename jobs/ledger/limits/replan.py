"""Plans the slots of a rate anew: after another rate was set or declared, and after a hold was taken away.

The reservations are void, and the parked runs are ready: their claims reserve again, in the order in which they were
due. ``rate_started`` stays, so that the starts before and after keep to the rate.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import String, and_, bindparam, delete, or_, select, text, update

from jobs.database.models import ON_HOLD, JobLimit, JobRateSlot, JobRun
from jobs.database.sql import Executor
from jobs.ledger.holds import release_held
from jobs.ledger.limits.counts import Key
from jobs.ledger.limits.parked import RATE_PREFIX, held_on
from jobs.ledger.records import Freed

BATCH = 1000
"""Runs that one statement makes ready. Source: decision."""


def replan(session: Executor, key: Key, *, now: datetime | None = None) -> list[Freed]:
    """Make the runs ready that are parked on this rate; all its keys without a digest. Publish them after the commit.

    Passes over runs that another transaction has locked: they are being claimed.
    """
    name, digest = key
    given = {"called": name, "of_digest": digest}
    # In order, as claims lock them.
    session.execute(_lock(), given)
    session.execute(_clear_lines(), given)
    session.execute(_clear_slots(), given)
    first = held_on(key, RATE_PREFIX)
    freed: list[Freed] = []
    while ids := session.scalars(_parked(), {"own": first, "first": f"{first}#", "beyond": f"{first}$"}).all():
        freed += release_held(session, ids, now=now)
    return freed


def _is(model: type[JobLimit] | type[JobRateSlot]) -> Any:
    digest = bindparam("of_digest", type_=String())
    return and_(model.name == bindparam("called", type_=String()), or_(digest == "", model.digest == digest))


@cache
def _lock() -> Any:
    some = select(JobLimit.name).where(_is(JobLimit), JobLimit.rate_lines.is_not(None))
    return some.order_by(JobLimit.name, JobLimit.digest).with_for_update()


@cache
def _clear_lines() -> Any:
    return update(JobLimit).where(_is(JobLimit), JobLimit.rate_lines.is_not(None)).values(rate_lines=None)


@cache
def _clear_slots() -> Any:
    return delete(JobRateSlot).where(_is(JobRateSlot))


@cache
def _parked() -> Any:
    own, first, beyond = (bindparam(name, type_=String()) for name in ("own", "first", "beyond"))
    return (
        select(JobRun.id)
        .where(text(ON_HOLD), or_(JobRun.held_on == own, and_(JobRun.held_on >= first, JobRun.held_on < beyond)))
        .order_by(JobRun.held_on, JobRun.priority, JobRun.due_at, JobRun.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
