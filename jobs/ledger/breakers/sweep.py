"""Finds what a fault left behind: open slices whose canary is gone, and parked runs of slices that are closed."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Integer, String, bindparam, delete, literal_column, select, text, tuple_

from jobs.database.models import ON_HOLD, JobBreaker, JobRun
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.definition.breakers import Slice
from jobs.ledger.breakers.canaries import canaries_of, drop_canaries
from jobs.ledger.breakers.ends import choose_next
from jobs.ledger.breakers.parked import FREE_BATCH, free_parked
from jobs.ledger.breakers.slices import PREFIX, lock_breakers, open_slices, slice_named
from jobs.ledger.limits.sweep import held_values
from jobs.ledger.records import Freed

IDLE_SECONDS = 86_400.0
"""How long the row of a key is kept after its last change. Source: decision; operators may still ask why."""
_BEYOND = PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1)
"""The text after every ``breaker:…``."""


def parked_slices(session: Executor, *, after: str = "") -> list[Slice]:
    """The slices that runs are parked on, by index probes; a limited number, after ``after`` (as ``held_on``)."""
    return [slice_named(one) for one in held_values(session, PREFIX, after=after, beyond=_BEYOND)]


def free_closed(session: Executor, of: Slice, *, now: datetime | None = None) -> tuple[list[Freed], bool]:
    """Make a batch of parked runs of a slice ready if it is closed, or choose a canary if it is open and has none.

    Returns them, and whether there may be more.
    """
    lock_breakers(session, [of.name])
    is_open = open_slices(session, [of], now=now).get(of)
    if is_open is None:
        freed = free_parked(session, of, now=now)
        return freed, len(freed) == FREE_BATCH
    canaries = canaries_of(session, [of], now=now)
    if any(one.is_live for one in canaries):
        return [], False
    drop_canaries(session, [one.run_id for one in canaries])
    at = is_open.probe_at if not is_open.is_due else session.execute(select(ledger_now()), {"now": now}).scalar_one()
    return choose_next(session, of, at, now=now), False


def drop_idle_slices(session: Executor, *, limit: int = 500, now: datetime | None = None) -> int:
    """Delete the rows of keys that did not change for a day and on which nothing is parked. Returns their number."""
    return len(session.execute(_drop(), {"limit": limit, "now": now}).all())


@cache
def _drop() -> Any:
    held = (
        literal_column(f"'{PREFIX}'", String()) + JobBreaker.name + literal_column("'#'", String()) + JobBreaker.digest
    )
    is_waited_for = select(JobRun.id).where(text(ON_HOLD), JobRun.held_on == held).correlate(JobBreaker).exists()
    idle = (
        select(JobBreaker.name, JobBreaker.digest)
        .where(
            JobBreaker.digest != "",
            JobBreaker.changed_at < plus_seconds(ledger_now(), literal_column(str(-IDLE_SECONDS))),
            ~is_waited_for,
        )
        .limit(bindparam("limit", type_=Integer()))
    )
    return delete(JobBreaker).where(tuple_(JobBreaker.name, JobBreaker.digest).in_(idle)).returning(JobBreaker.name)
