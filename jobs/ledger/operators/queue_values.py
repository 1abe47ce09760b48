"""Numbers that operators set for a queue: how long a ready run may wait, and how many runs may wait."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select, update

from jobs.database.models import JobQueue
from jobs.database.sql import Executor
from jobs.ledger.operators.queues import make_row

QueueValue = Literal["latency_target_seconds", "max_waiting"]
"""The column. Where it is NULL, nobody has set anything."""


def queue_values(session: Executor, name: QueueValue, *, limit: int = 10_000) -> dict[str, int]:
    """What is set, by queue."""
    column = getattr(JobQueue, name)
    found = select(JobQueue.name, column).where(column.is_not(None)).limit(limit)
    return {queue: number for queue, number in session.execute(found) if number is not None}


def queue_value(session: Executor, name: QueueValue, queue: str) -> int | None:
    """What is set for a queue; None if nothing is."""
    found: int | None = session.scalar(select(getattr(JobQueue, name)).where(JobQueue.name == queue))
    return found


def set_max_waiting(session: Executor, queue: str, most: int | None) -> None:
    """Set how many runs of a queue may wait; None removes it."""
    if most is not None:
        make_row(session, JobQueue, queue)
    session.execute(update(JobQueue).where(JobQueue.name == queue).values(max_waiting=most))
