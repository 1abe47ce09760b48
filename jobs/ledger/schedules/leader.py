"""Elects the leading scheduler, by a lease on the database's clock.

Unique rows, not the leader, prevent double runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Float, String, bindparam, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from jobs.database.models import JobLeader
from jobs.database.sql import Executor, dialect_of, ledger_now, plus_seconds

LEASE = timedelta(seconds=4)
"""How long a silent leader still leads. Source: decision.

Standby schedulers look once a second, so a dead leader is replaced within 6 s; busy machines are promised 10 s.
"""
IDLE_LIMIT = timedelta(seconds=2)
"""How long a frozen leader's transaction may hold its locks. Source: less than the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderRecord:
    """The leader, as read; ``is_live`` by the ledger's clock."""

    holder: str
    since: datetime
    lease_until: datetime
    ticked_at: datetime
    is_live: bool


def lead(session: Executor, role: str, holder: str, *, lease: timedelta = LEASE, now: datetime | None = None) -> bool:
    """Take or keep the lead; returns whether ``holder`` has it now.

    Another's lead is taken only after its lease expired.
    """
    values = {"as_role": role, "by_holder": holder, "lease_seconds": lease.total_seconds(), "now": now}
    return session.execute(_lead(dialect_of(session)), values).first() is not None


def resign(session: Executor, role: str, holder: str, *, now: datetime | None = None) -> None:
    """Give the lead up, if ``holder`` has it, so that another may take it at once."""
    session.execute(
        update(JobLeader)
        .where(JobLeader.role == role, JobLeader.holder == holder)
        .values(lease_until=plus_seconds(ledger_now(), -bindparam("margin", 1.0, type_=Float()))),
        {"now": now},
    )


def leader(
    session: Executor, role: str, *, lease: timedelta = LEASE, now: datetime | None = None
) -> LeaderRecord | None:
    """The current or last leader; None if there was none. ``lease`` is the lease length of leaders."""
    row = session.execute(
        select(
            JobLeader.holder,
            JobLeader.since,
            JobLeader.lease_until,
            JobLeader.ticked_at,
            _is_over().label("is_over"),
        ).where(JobLeader.role == role),
        {"now": now, "lease_seconds": lease.total_seconds()},
    ).first()
    if row is None:
        return None
    values = dict(row._mapping)
    return LeaderRecord(is_live=not values.pop("is_over"), **values)


def limit_idle(session: Executor, limit: timedelta = IDLE_LIMIT) -> None:
    """Let the database end this transaction if we stop responding: a frozen process must not hold locks.

    SQLite cannot: a process that freezes while it writes holds the ledger until it continues.
    """
    if dialect_of(session) == "postgresql":
        milliseconds = str(int(limit.total_seconds() * 1000))
        session.execute(select(func.set_config("idle_in_transaction_session_timeout", milliseconds, True)))


def _is_over() -> Any:
    span = bindparam("lease_seconds", type_=Float())
    return or_(
        JobLeader.lease_until < ledger_now(),
        # Later than any lease can end: the clock was set back, and this lease would last for hours.
        JobLeader.lease_until > plus_seconds(ledger_now(), span * 2),
    )


@cache
def _lead(dialect: str) -> Any:
    holder = bindparam("by_holder", type_=String())
    until = plus_seconds(ledger_now(), bindparam("lease_seconds", type_=Float()))
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return (
        make(JobLeader)
        .values(
            role=bindparam("as_role", type_=String()),
            holder=holder,
            since=ledger_now(),
            lease_until=until,
            ticked_at=ledger_now(),
        )
        .on_conflict_do_update(
            index_elements=[JobLeader.role],
            set_={
                "since": case((JobLeader.holder == holder, JobLeader.since), else_=ledger_now()),
                "holder": holder,
                "lease_until": until,
                "ticked_at": ledger_now(),
            },
            where=or_(JobLeader.holder == holder, _is_over()),
        )
        .returning(JobLeader.role)
    )
