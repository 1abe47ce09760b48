"""Kinds whose runs die because their arguments do not fit their job."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Float, bindparam, func, literal_column, select

from jobs.database.models import SHOWN, JobRun
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.states import Cause, RunState

RECENT_SPAN = timedelta(days=1)
"""How long a death causes a warning. Source: decision; misfits of a deploy are seen on the same day."""


def kinds_that_misfit(session: Executor, *, within: timedelta = RECENT_SPAN, limit: int = 10) -> dict[str, int]:
    """How many runs of each kind died so within the span; the kinds with most. Reads the runs that died in it."""
    rows = session.execute(
        select(JobRun.kind, func.count())
        .where(
            JobRun.state == RunState.DEAD.value,
            JobRun.cause == Cause.BAD_ARGUMENTS.value,
            JobRun.state_at >= plus_seconds(ledger_now(), -bindparam("within_seconds", type_=Float())),
            literal_column(f"({SHOWN})"),
        )
        .group_by(JobRun.kind)
        .order_by(func.count().desc(), JobRun.kind)
        .limit(limit),
        {"within_seconds": within.total_seconds(), "now": None},
    )
    return {str(kind): number for kind, number in rows}
