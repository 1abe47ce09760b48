"""Targets of queues: how long a ready run may wait."""

from __future__ import annotations

from sqlalchemy import select, update

from jobs.database.models import JobQueue
from jobs.database.sql import Executor
from jobs.ledger.operators.queues import make_row


def latency_targets(session: Executor, *, limit: int = 10_000) -> dict[str, int]:
    """The latency targets that operators set, in seconds, by queue."""
    found = select(JobQueue.name, JobQueue.latency_target_seconds).where(JobQueue.latency_target_seconds.is_not(None))
    return {name: seconds for name, seconds in session.execute(found.limit(limit)) if seconds is not None}


def latency_target(session: Executor, queue: str) -> int | None:
    """The latency target that an operator set for a queue, in seconds; None if nobody did."""
    return session.scalar(select(JobQueue.latency_target_seconds).where(JobQueue.name == queue))


def set_latency_target(session: Executor, queue: str, seconds: int | None) -> None:
    """Set the latency target of a queue; None leaves it to the settings."""
    if seconds is not None:
        make_row(session, JobQueue, queue)
    session.execute(
        update(JobQueue)
        .where(JobQueue.name == queue)
        .values(latency_target_seconds=seconds)
        .execution_options(synchronize_session=False)
    )
