"""Waiting runs that are past their time. Read-only."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Float, bindparam, select

from jobs.database.models import JobRun
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.states import Hold, RunState


def late_waits(
    session: Executor, *, after: timedelta, limit: int, now: datetime | None = None
) -> list[tuple[UUID, str]]:
    """Runs whose wait should have ended more than ``after`` ago, though no worker has taken them: id, and on what."""
    since = plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float()))
    rows = session.execute(
        select(JobRun.id, JobRun.held_on)
        .where(JobRun.state == RunState.QUEUED.value, JobRun.hold == Hold.WAITING.value, JobRun.run_at < since)
        .limit(limit),
        {"after_seconds": after.total_seconds(), "now": now},
    )
    return [(row[0], row[1] or "") for row in rows]
