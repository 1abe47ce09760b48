"""Finds what a fault left behind: slots of runs that perform no longer, and parked runs although there is room.

Also after changes that make room for many: a limit that grew, a hold that ended, a queue that was resumed.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    delete,
    literal_column,
    select,
    text,
    tuple_,
)

from jobs.database.models import ON_HOLD, JobLimit, JobLimitSlot, JobRun
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.ledger.limits.counts import Key, takes_slot
from jobs.ledger.limits.hand_on import hand_on
from jobs.ledger.limits.parked import PREFIX, held_on, key_of
from jobs.ledger.records import Freed

KEYS = 200
"""Keys of limits that one transaction locks. Source: decision; as many as the runs of a claim may have."""
IDLE_SECONDS = 86_400.0
"""How long a key's row is kept at least. Source: decision; a key that is used daily keeps its row."""
_AFTER = PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1)
"""The text after every ``limit:…``."""


def drop_stale_slots(session: Executor, *, limit: int = 500, now: datetime | None = None) -> int:
    """Delete slots that no longer count. Returns their number."""
    return len(session.execute(_drop(), {"limit": limit, "now": now}).all())


def drop_idle_keys(session: Executor, *, limit: int = 500, now: datetime | None = None) -> int:
    """Delete the rows of keys that nobody uses and for which nothing is set, a day after their first use or later.

    Returns their number. The next run with such a key makes the row again.
    """
    return len(session.execute(_drop_keys(), {"limit": limit, "now": now}).all())


def parked_keys(session: Executor, *, after: str = "", name: str | None = None) -> list[Key]:
    """The limits, with the digests of their keys, that runs are parked on; up to ``KEYS``, by index probes.

    Args:
        after: the last of the previous call, as ``held_on`` writes it.
        name: only keys of this limit.
    """
    first, beyond = (PREFIX, _AFTER) if name is None else (PREFIX + name, PREFIX + name + "$")
    found = session.scalars(_parked(), {"first": first, "after": after, "beyond": beyond, "limit": KEYS})
    keys = [key_of(one) for one in found if one is not None]
    return keys if name is None else [one for one in keys if one[0] == name]


def hand_on_all(session: Executor, name: str, *, now: datetime | None = None) -> list[Freed]:
    """Make parked runs of every key of a limit ready, as far as there is room."""
    freed: list[Freed] = []
    after = ""
    while keys := parked_keys(session, after=after, name=name):
        freed += hand_on(session, keys, now=now)
        after = held_on(keys[-1])
    return freed


@cache
def _drop() -> Any:
    counts = select(JobRun.id).where(JobRun.id == JobLimitSlot.run_id, takes_slot()).correlate(JobLimitSlot).exists()
    stale = select(JobLimitSlot.run_id, JobLimitSlot.name).where(~counts).limit(bindparam("limit", type_=Integer()))
    return (
        delete(JobLimitSlot)
        .where(tuple_(JobLimitSlot.run_id, JobLimitSlot.name).in_(stale))
        .returning(JobLimitSlot.run_id)
        .execution_options(synchronize_session=False)
    )


@cache
def _drop_keys() -> Any:
    same = and_(JobLimitSlot.name == JobLimit.name, JobLimitSlot.digest == JobLimit.digest)
    is_used = select(JobLimitSlot.run_id).where(same).correlate(JobLimit).exists()
    held: ColumnElement[str] = (
        literal_column(f"'{PREFIX}'", String()) + JobLimit.name + literal_column("'#'", String()) + JobLimit.digest
    )
    is_waited_for = select(JobRun.id).where(text(ON_HOLD), JobRun.held_on == held).correlate(JobLimit).exists()
    idle = (
        select(JobLimit.name, JobLimit.digest)
        .where(
            JobLimit.digest != "",
            JobLimit.set_most.is_(None),
            JobLimit.hold_until.is_(None),
            JobLimit.seen_at < plus_seconds(ledger_now(), literal_column(str(-IDLE_SECONDS))),
            ~is_used,
            ~is_waited_for,
        )
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
        .cte("idle")
    )
    return (
        delete(JobLimit)
        .where(tuple_(JobLimit.name, JobLimit.digest).in_(select(idle.c.name, idle.c.digest)))
        .returning(JobLimit.name)
        .execution_options(synchronize_session=False)
    )


@cache
def _parked() -> Select[Any]:
    """Each value of ``held_on``, the smallest first: one probe of the index of held runs for each."""

    def least(*which: ColumnElement[bool]) -> Any:
        bounds = JobRun.held_on < bindparam("beyond", type_=String())
        return select(JobRun.held_on).where(text(ON_HOLD), bounds, *which).order_by(JobRun.held_on).limit(1)

    start = least(
        JobRun.held_on >= bindparam("first", type_=String()), JobRun.held_on > bindparam("after", type_=String())
    )
    walk = select(start.scalar_subquery().label("held_on")).cte("walk", recursive=True)
    following = least(JobRun.held_on > walk.c.held_on).correlate(walk).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.held_on.is_not(None)))
    return select(walk.c.held_on).where(walk.c.held_on.is_not(None)).limit(bindparam("limit", type_=Integer()))
