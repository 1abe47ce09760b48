"""Holds that runs ask for: a provider said when it may be called again, so no run of its limit starts before."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Float, String, Uuid, and_, bindparam, or_, select, update

from jobs.database.models import JobLimit, JobRun
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.ledger.effects.steps import lease_lost
from jobs.ledger.limits.counts import Key


def hold_name(
    session: Executor,
    run_id: UUID,
    token: UUID,
    key: Key,
    *,
    span: timedelta,
    shown: str | None = None,
    now: datetime | None = None,
) -> None:
    """Start no run of a limit or rate, or of one key of it, before ``span`` has passed. A longer hold stays.

    Args:
        shown: the key as text, for a key that no run has had yet.

    Raises:
        LeaseLost: another attempt has the run.
    """
    # Locked: no other process takes the run before the commit.
    ours = select(JobRun.id).where(JobRun.id == run_id, JobRun.token == token).with_for_update(read=True)
    if session.scalar(ours) is None:
        raise lease_lost(run_id)
    name, digest = key
    row = insert_into(dialect_of(session), JobLimit).values(name=name, digest=digest, key=shown, seen_at=ledger_now())
    session.execute(row.on_conflict_do_nothing(), {"now": now})
    given = {"called": name, "of_digest": digest, "seconds": span.total_seconds(), "by_run": run_id, "now": now}
    session.execute(_hold(), given)


def is_known(session: Executor, name: str) -> bool:
    """Whether a worker has declared a limit or a rate of this name."""
    return session.scalar(select(JobLimit.name).where(JobLimit.name == name, JobLimit.digest == "")) is not None


@cache
def _hold() -> Any:
    until = plus_seconds(ledger_now(), bindparam("seconds", type_=Float()))
    return (
        update(JobLimit)
        .where(
            and_(
                JobLimit.name == bindparam("called", type_=String()),
                JobLimit.digest == bindparam("of_digest", type_=String()),
            ),
            or_(JobLimit.run_hold_until.is_(None), JobLimit.run_hold_until < until),
        )
        .values(run_hold_until=until, run_hold_by=bindparam("by_run", type_=Uuid()))
    )
