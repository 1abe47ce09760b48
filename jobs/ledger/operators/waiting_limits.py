"""Limits of queues: how many runs may wait."""

from __future__ import annotations

from sqlalchemy import select, update

from jobs.database.models import JobQueue
from jobs.database.sql import Executor
from jobs.ledger.operators.queues import make_row


def waiting_limits(session: Executor, *, limit: int = 10_000) -> dict[str, int]:
    """How many runs may wait in each queue for which operators set it."""
    found = select(JobQueue.name, JobQueue.max_waiting).where(JobQueue.max_waiting.is_not(None)).limit(limit)
    return {name: most for name, most in session.execute(found) if most is not None}


def waiting_limit(session: Executor, queue: str) -> int | None:
    """How many runs may wait in a queue; None if there is no limit."""
    return session.scalar(select(JobQueue.max_waiting).where(JobQueue.name == queue))


def set_waiting_limit(session: Executor, queue: str, most: int | None) -> None:
    """Set how many runs may wait in a queue; None removes the limit."""
    if most is not None:
        make_row(session, JobQueue, queue)
    session.execute(
        update(JobQueue)
        .where(JobQueue.name == queue)
        .values(max_waiting=most)
        .execution_options(synchronize_session=False)
    )
