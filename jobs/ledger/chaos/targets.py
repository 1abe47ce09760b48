"""The mark of a ledger on which chaos may be run, and the run that is under way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Float, bindparam, delete, insert, or_, select, update

from jobs.database.models import JobChaosTarget
from jobs.database.sql import Executor, ledger_now, plus_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosTarget:
    """The mark, as read. ``run_until`` is None unless chaos is run now."""

    target: str
    reason: str | None
    allowed_by: str
    allowed_at: datetime
    allowed_until: datetime
    run_by: str | None
    run_until: datetime | None
    is_over: bool


def find_target(session: Executor, *, now: datetime | None = None) -> ChaosTarget | None:
    """The mark of this ledger, also one that is over; None if it has none."""
    columns = (
        JobChaosTarget.target, JobChaosTarget.reason, JobChaosTarget.allowed_by, JobChaosTarget.allowed_at,
        JobChaosTarget.allowed_until, JobChaosTarget.run_by, JobChaosTarget.run_until,
    )  # fmt: skip
    row = session.execute(select(*columns, ledger_now().label("moment")), {"now": now}).one_or_none()
    if row is None:
        return None
    is_run = row.run_until is not None and row.run_until > row.moment
    return ChaosTarget(
        target=row.target,
        reason=row.reason,
        allowed_by=row.allowed_by,
        allowed_at=row.allowed_at,
        allowed_until=row.allowed_until,
        run_by=row.run_by if is_run else None,
        run_until=row.run_until if is_run else None,
        is_over=row.allowed_until <= row.moment,
    )


def set_target(
    session: Executor, target: str, *, by: str, reason: str | None, span: timedelta, now: datetime | None = None
) -> None:
    """Mark the ledger for ``span`` from now; replaces the mark that it has."""
    session.execute(delete(JobChaosTarget))
    until = plus_seconds(ledger_now(), bindparam("span_seconds", type_=Float()))
    session.execute(
        insert(JobChaosTarget).values(
            target=target, reason=reason, allowed_by=by, allowed_at=ledger_now(), allowed_until=until
        ),
        {"span_seconds": span.total_seconds(), "now": now},
    )


def remove_target(session: Executor) -> None:
    """Remove the mark."""
    session.execute(delete(JobChaosTarget))


def begin_run(session: Executor, target: str, *, by: str, span: timedelta, now: datetime | None = None) -> bool:
    """Begin a run of chaos. False: the mark is gone or ends too soon, or another run is under way."""
    until = plus_seconds(ledger_now(), bindparam("span_seconds", type_=Float()))
    began = session.execute(
        update(JobChaosTarget)
        .where(
            JobChaosTarget.target == target,
            JobChaosTarget.allowed_until >= until,
            or_(JobChaosTarget.run_until.is_(None), JobChaosTarget.run_until <= ledger_now()),
        )
        .values(run_by=by, run_until=until)
        .returning(JobChaosTarget.target),
        {"span_seconds": span.total_seconds(), "now": now},
    )
    return began.one_or_none() is not None


def end_run(session: Executor, target: str) -> None:
    """End the run of chaos that is under way."""
    session.execute(update(JobChaosTarget).where(JobChaosTarget.target == target).values(run_by=None, run_until=None))
