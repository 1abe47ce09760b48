"""Reports: what the ledger adds up to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from jobs.models import JobAttempt, JobQueue, JobRun
from jobs.sql import Executor, ledger_now, seconds_between
from jobs.states import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCount:
    """The live and dead runs of a queue. ``oldest_seconds`` is since the oldest ready run was due."""

    queue: str
    ready: int
    scheduled: int
    retrying: int
    running: int
    dead: int
    oldest_seconds: float | None
    is_paused: bool


def queue_counts(session: Executor, *, limit: int = 1000, now: datetime | None = None) -> list[QueueCount]:
    """One row a queue that has a run which is not finished, or a dead one."""
    is_queued = JobRun.state == RunState.QUEUED
    is_due = JobRun.run_at <= ledger_now()
    ready = and_(is_queued, is_due)

    def count(which: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((which, 1), else_=0))

    rows = session.execute(
        select(
            JobRun.queue,
            count(ready).label("ready"),
            count(and_(is_queued, ~is_due, JobRun.attempt == 0)).label("scheduled"),
            count(and_(is_queued, ~is_due, JobRun.attempt > 0)).label("retrying"),
            count(JobRun.state == RunState.RUNNING).label("running"),
            count(JobRun.state == RunState.DEAD).label("dead"),
            func.max(case((ready, seconds_between(JobRun.run_at, ledger_now())))).label("oldest"),
        )
        .where(JobRun.state.in_([RunState.QUEUED, RunState.RUNNING, RunState.DEAD]), JobRun.deleted_at.is_(None))
        .group_by(JobRun.queue)
        .order_by(JobRun.queue)
        .limit(limit),
        {"now": now},
    ).all()
    paused = paused_queues(session, now=now)
    return [
        QueueCount(
            queue=row.queue,
            ready=row.ready,
            scheduled=row.scheduled,
            retrying=row.retrying,
            running=row.running,
            dead=row.dead,
            oldest_seconds=row.oldest,
            is_paused=row.queue in paused,
        )
        for row in rows
    ]


def paused_queues(session: Executor, *, now: datetime | None = None) -> set[str]:
    """The queues that are paused at this moment."""
    still = or_(JobQueue.paused_until.is_(None), JobQueue.paused_until > ledger_now())
    return set(
        session.scalars(select(JobQueue.name).where(JobQueue.paused_at.is_not(None), still).limit(10_000), {"now": now})
    )


def count_by_state(session: Executor, *, kind: str | None = None) -> dict[RunState, int]:
    """How many runs are in each state; purged ones left out. Counts every run: for ledgers of a known size."""
    query = select(JobRun.state, func.count()).where(JobRun.deleted_at.is_(None)).group_by(JobRun.state)
    if kind is not None:
        query = query.where(JobRun.kind == kind)
    return {RunState(state): number for state, number in session.execute(query)}


@dataclass(frozen=True, slots=True)
class AttemptFigures:
    """What the attempts of a ledger add up to. Durations are of single attempts."""

    attempts: int
    retries: int
    runs_per_second: float
    span_seconds: float
    p50_ms: float
    p95_ms: float


def attempt_figures(session: Executor, *, limit: int = 1_000_000) -> AttemptFigures:
    """Counts, rate and percentiles over every attempt. Reads each: for ledgers of a known size."""
    took = seconds_between(JobAttempt.started_at, JobAttempt.finished_at)
    rows = session.execute(select(took, JobAttempt.attempt).limit(limit)).all()
    span = session.scalar(select(seconds_between(func.min(JobAttempt.started_at), func.max(JobAttempt.finished_at))))
    ordered = sorted(row[0] * 1000 for row in rows) or [0.0]
    firsts = sum(1 for row in rows if row[1] == 1)
    return AttemptFigures(
        attempts=len(rows),
        retries=len(rows) - firsts,
        runs_per_second=firsts / span if span else 0.0,
        span_seconds=span or 0.0,
        p50_ms=ordered[len(ordered) // 2],
        p95_ms=ordered[int(len(ordered) * 0.95)],
    )
