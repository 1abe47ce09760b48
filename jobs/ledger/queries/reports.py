"""Reports: counts and totals of the ledger."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal_column, or_, select

from jobs.database.history_reads import HOT_ONLY
from jobs.database.models import JobAttempt, JobQueue, JobRun
from jobs.database.sql import Executor, ledger_now, seconds_between
from jobs.ledger.history_spans import shown_runs
from jobs.ledger.holds import is_held
from jobs.ledger.queries.waiting import queued_levels
from jobs.states import Hold, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCount:
    """The live and dead runs of a queue. ``oldest_seconds`` counts from when the oldest ready run was due."""

    queue: str
    ready: int
    scheduled: int
    retrying: int
    parked: int
    waiting: int
    running: int
    dead: int
    oldest_seconds: float | None
    is_paused: bool


def queue_counts(session: Executor, *, now: datetime | None = None) -> list[QueueCount]:
    """One row per queue with an unfinished or dead run, or a pause; by name.

    It has every queue; ``worst_first`` orders them for callers who show only some. Reads no succeeded runs, and of due
    runs only the index that claims use.
    """
    moment = select(ledger_now()).scalar_subquery()
    # Purged runs have ended: a condition on columns outside the index would read every waiting run.
    queued = JobRun.state == literal_column("'queued'")
    age = seconds_between(func.min(JobRun.run_at), moment)
    ready = session.execute(
        select(JobRun.queue, func.count().label("number"), age.label("age"))
        .where(queued, JobRun.run_at <= moment)
        .group_by(JobRun.queue)
        .execution_options(**HOT_ONLY),
        {"now": now},
    )
    is_free = JobRun.hold.is_(None)
    parts = (
        _count(and_(is_free, JobRun.attempt > 0)).label("retrying"),
        *(_count(is_held(hold)).label(hold.value) for hold in Hold),
    )
    later = session.execute(
        select(JobRun.queue, func.count().label("number"), *parts)
        .where(queued, JobRun.run_at > moment)
        .group_by(JobRun.queue)
        .execution_options(**HOT_ONLY),
        {"now": now},
    )
    due, waiting = ({row.queue: row for row in rows} for rows in (ready, later))
    running = _by_queue(
        session, JobRun.queue, JobRun.state == literal_column("'running'"), JobRun.deleted_at.is_(None), **HOT_ONLY
    )
    runs, is_dead, options = shown_runs(session, RunState.DEAD)
    dead = _by_queue(session, runs.queue, *is_dead, **options)
    paused = paused_queues(session, now=now)
    counts = []
    for queue in sorted({*due, *waiting, *running, *dead, *paused}):
        now_due, not_yet = due.get(queue), waiting.get(queue)
        counts.append(
            QueueCount(
                queue=queue,
                ready=now_due.number if now_due else 0,
                scheduled=_scheduled(not_yet) if not_yet else 0,
                retrying=not_yet.retrying if not_yet else 0,
                parked=not_yet.parked if not_yet else 0,
                waiting=not_yet.waiting if not_yet else 0,
                running=running.get(queue, 0),
                dead=dead.get(queue, 0),
                oldest_seconds=now_due.age if now_due else None,
                is_paused=queue in paused,
            )
        )
    return counts


def _scheduled(not_yet: Any) -> int:
    """Those that are not due and neither retried nor held."""
    number: int = not_yet.number - not_yet.retrying - not_yet.parked - not_yet.waiting
    return number


def worst_first(queues: Iterable[QueueCount], *, served: Container[str] = ()) -> list[QueueCount]:
    """The queues that need attention, or that operators or workers named, before all others.

    A caller may make up any number of queue names. Paused and served queues come first, because operators and workers
    named them. Then, alternating, the queue whose oldest run has waited longest and the one with most dead runs.
    """
    every = list(queues)
    known = [one for one in every if one.is_paused or one.queue in served]
    oldest = sorted((one for one in every if one.oldest_seconds), key=lambda one: -(one.oldest_seconds or 0.0))
    deadliest = sorted((one for one in every if one.dead), key=lambda one: -one.dead)
    in_turn = [one for pair in zip_longest(oldest, deadliest) for one in pair if one is not None]
    return list({one.queue: one for one in (*known, *in_turn, *every)}.values())


def _count(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((which, 1), else_=0))


def _by_queue(session: Executor, queue: Any, *which: ColumnElement[bool], **options: Any) -> dict[str, int]:
    query = select(queue, func.count()).where(*which).group_by(queue)
    rows = session.execute(query.execution_options(**options))
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadGroup:
    """Dead runs of one kind with one error, about which an operator decides at once."""

    fingerprint: str | None
    kind: str
    cause: str | None
    error_type: str | None
    error_message: str | None
    count: int
    first_at: datetime
    last_at: datetime


def dead_groups(
    session: Executor, *, since: datetime | None = None, limit: int = 100, now: datetime | None = None
) -> list[DeadGroup]:
    """Dead runs by kind, cause and error, largest group first. The message is that of one run."""
    runs, is_dead, options = shown_runs(session, RunState.DEAD)
    query = select(
        runs.fingerprint,
        runs.kind,
        runs.cause,
        func.max(runs.error_type),
        func.max(runs.error_message),
        func.count().label("number"),
        func.min(runs.state_at),
        func.max(runs.state_at),
    ).where(*is_dead)
    if since is not None:
        query = query.where(runs.state_at >= since)
    rows = session.execute(
        query.group_by(runs.fingerprint, runs.kind, runs.cause)
        .order_by(func.count().desc(), runs.kind, runs.fingerprint)
        .limit(limit)
        .execution_options(**options),
        {"now": now},
    )
    return [
        DeadGroup(
            fingerprint=row[0],
            kind=row[1],
            cause=row[2],
            error_type=row[3],
            error_message=row[4],
            count=row[5],
            first_at=row[6],
            last_at=row[7],
        )
        for row in rows
    ]


def ended_since(session: Executor, since: datetime) -> dict[RunState, int]:
    """How many runs entered each final state since then, without purged ones. One index range per state."""
    counted: dict[RunState, int] = {}
    for state in (RunState.SUCCEEDED, RunState.DEAD, RunState.CANCELLED):
        runs, is_shown, options = shown_runs(session, state)
        query = select(func.count()).where(*is_shown, runs.state_at >= since)
        counted[state] = session.scalar(query.execution_options(**options)) or 0
    return counted


def oldest_ready(session: Executor, *, now: datetime | None = None) -> dict[str, float]:
    """Seconds since the oldest ready run was due, by queue. One index probe per queue and priority."""
    levels = queued_levels()
    first = (
        select(func.min(JobRun.run_at))
        .where(
            JobRun.state == literal_column("'queued'"), JobRun.deleted_at.is_(None),
            JobRun.queue == levels.c.queue, JobRun.priority == levels.c.priority,
        )
        .correlate(levels).scalar_subquery().label("first")
    )  # fmt: skip
    each = select(levels.c.queue, first).where(levels.c.queue.is_not(None)).subquery("each_level")
    age = func.max(seconds_between(each.c.first, ledger_now()))
    rows = session.execute(
        select(each.c.queue, age)
        .where(each.c.first <= ledger_now())
        .group_by(each.c.queue)
        .execution_options(**HOT_ONLY),
        {"now": now},
    )
    return {row[0]: row[1] for row in rows}


def oldest_running(session: Executor, *, now: datetime | None = None) -> float | None:
    """Seconds since the longest running run started."""
    age = seconds_between(func.min(JobRun.started_at), ledger_now())
    query = select(age).where(JobRun.state == literal_column("'running'")).execution_options(**HOT_ONLY)
    return session.scalar(query, {"now": now})


def oldest_dead(session: Executor, *, now: datetime | None = None) -> float | None:
    """Seconds since the oldest dead letter died. One index probe."""
    runs, is_dead, options = shown_runs(session, RunState.DEAD)
    first = select(runs.state_at).where(*is_dead).order_by(runs.state_at).limit(1).scalar_subquery()
    return session.scalar(select(seconds_between(first, ledger_now())).execution_options(**options), {"now": now})


def paused_queues(session: Executor, *, now: datetime | None = None) -> set[str]:
    """The queues that are paused at this moment."""
    still = or_(JobQueue.paused_until.is_(None), JobQueue.paused_until > ledger_now())
    return set(
        session.scalars(select(JobQueue.name).where(JobQueue.paused_at.is_not(None), still).limit(10_000), {"now": now})
    )


def count_by_state(session: Executor, *, kind: str | None = None) -> dict[RunState, int]:
    """How many runs are in each state, in the order of ``RunState``, without purged ones.

    Counts every run: for ledgers of a known size.
    """
    query = select(JobRun.state, func.count()).where(JobRun.deleted_at.is_(None)).group_by(JobRun.state)
    if kind is not None:
        query = query.where(JobRun.kind == kind)
    # Without an order each dialect, and each plan of PostgreSQL's, gives groups in another.
    found = {RunState(state): number for state, number in session.execute(query)}
    return {state: found[state] for state in RunState if state in found}


@dataclass(frozen=True, slots=True)
class AttemptStatistics:
    """Totals of the attempts of a ledger. Durations are those of single attempts."""

    attempts: int
    retries: int
    runs_per_second: float
    span_seconds: float
    p50_ms: float
    p95_ms: float


def attempt_statistics(session: Executor, *, limit: int = 1_000_000) -> AttemptStatistics:
    """Counts, rate and percentiles of all attempts. Reads each: for ledgers of a known size."""
    took = seconds_between(JobAttempt.started_at, JobAttempt.finished_at)
    rows = session.execute(select(took, JobAttempt.attempt).limit(limit)).all()
    span = session.scalar(select(seconds_between(func.min(JobAttempt.started_at), func.max(JobAttempt.finished_at))))
    ordered = sorted(row[0] * 1000 for row in rows) or [0.0]
    firsts = sum(1 for row in rows if row[1] == 1)
    return AttemptStatistics(
        attempts=len(rows),
        retries=len(rows) - firsts,
        runs_per_second=firsts / span if span else 0.0,
        span_seconds=span or 0.0,
        p50_ms=ordered[len(ordered) // 2],
        p95_ms=ordered[int(len(ordered) * 0.95)],
    )
