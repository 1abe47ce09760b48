"""Gauges: what the ledger says of this moment, for its metrics. Each read is limited."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from jobs.ledger import workers
from jobs.ledger.reports import QueueCount, queue_counts
from jobs.models import JobQueue, JobRun
from jobs.sql import Executor, ledger_now
from jobs.states import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """This moment's numbers.

    Attributes:
        targets: how old a queue's oldest ready run may be, in seconds, where the queue says.
        queue_workers: live worker processes by queue; 0 for a queue that has runs and no worker.
        threads, busy: of live worker processes; busy is as old as their last sign of life.
    """

    queues: tuple[QueueCount, ...]
    targets: dict[str, float]
    queue_workers: dict[str, int]
    threads: int
    busy: int
    leases_expired: int


def read_gauges(session: Executor, *, now: datetime | None = None) -> Gauges:
    """Read all of it; a few statements."""
    queues = queue_counts(session, now=now)
    live = workers.live(session, now=now)
    serving = Counter(queue for worker in live for queue in worker.queues)
    return Gauges(
        queues=tuple(queues),
        targets=_targets(session),
        queue_workers={**{one.queue: 0 for one in queues}, **serving},
        threads=sum(worker.threads for worker in live),
        busy=sum(worker.busy for worker in live),
        leases_expired=_leases_expired(session, now=now),
    )


def _targets(session: Executor) -> dict[str, float]:
    rows = session.execute(
        select(JobQueue.name, JobQueue.latency_target_seconds)
        .where(JobQueue.latency_target_seconds.is_not(None))
        .limit(1000)
    )
    return {name: float(seconds) for name, seconds in rows if seconds is not None}


def _leases_expired(session: Executor, *, now: datetime | None) -> int:
    expired = select(func.count()).where(JobRun.state == RunState.RUNNING.value, JobRun.lease_until < ledger_now())
    return session.scalar(expired, {"now": now}) or 0
