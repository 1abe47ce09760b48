"""Failures of a period, grouped by fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from jobs.database.models import JobRun
from jobs.database.sql import Executor


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Runs whose last error has one fingerprint; ``share`` is their share of all such runs in the period."""

    fingerprint: str
    kinds: str
    error_type: str | None
    error_message: str | None
    count: int
    dead: int
    share: float
    first_at: datetime
    last_at: datetime


def error_groups(session: Executor, *, since: datetime, limit: int = 100) -> list[ErrorGroup]:
    """The groups of failed runs that entered their state since then, largest first.

    Reads the index of fingerprints: every run that ever failed, and no other.
    """
    here = (JobRun.fingerprint.is_not(None), JobRun.state_at >= since, JobRun.deleted_at.is_(None))
    rows = session.execute(
        select(
            JobRun.fingerprint,
            func.min(JobRun.kind),
            func.max(JobRun.error_type),
            func.max(JobRun.error_message),
            func.count().label("number"),
            func.count(JobRun.cause),
            func.min(JobRun.state_at),
            func.max(JobRun.state_at),
        )
        .where(*here, JobRun.fingerprint != "")
        .group_by(JobRun.fingerprint)
        .order_by(func.count().desc(), JobRun.fingerprint)
    ).all()
    whole = sum(row.number for row in rows)
    return [
        ErrorGroup(
            fingerprint=row[0] or "",
            kinds=row[1],
            error_type=row[2],
            error_message=row[3],
            count=row[4],
            dead=row[5],
            share=row[4] / whole,
            first_at=row[6],
            last_at=row[7],
        )
        for row in rows[:limit]
    ]
