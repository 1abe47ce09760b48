"""Gauges: the ledger's current numbers, for its metrics. Each read is limited."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from jobs.database.history_reads import HOT_ONLY
from jobs.database.models import JobRun
from jobs.database.sql import Executor, ledger_now
from jobs.ledger import workers
from jobs.ledger.queries.reports import QueueCount, queue_counts, worst_first
from jobs.states import RunState

MAX_QUEUES = 1000
"""Most queues with numbers of their own. Source: decision; a caller may make up any number of names."""
STATES = ("ready", "scheduled", "retrying", "parked", "waiting", "running", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The current numbers.

    Attributes:
        queues: at most ``MAX_QUEUES`` of them, ``worst_first``.
        left_out: the sum of the other queues; None if there are none.
        queues_left_out: the number of queue names that are in neither ``queues`` nor ``queue_workers``.
        queue_workers: live worker processes by queue; 0 for a queue that has runs and no worker.
        failing: live worker processes, by name, whose claims or settlements fail repeatedly, and why.
        threads: threads of live worker processes.
        busy: busy threads of live worker processes, at their last heartbeat.
    """

    queues: tuple[QueueCount, ...]
    left_out: QueueCount | None
    queues_left_out: int
    queue_workers: dict[str, int]
    threads: int
    busy: int
    leases_expired: int
    failing: dict[str, str]

    def total(self, state: str) -> int:
        """How many runs are ``ready`` (``running``, ``dead``, …) in all queues."""
        return sum(getattr(one, state) for one in (*self.queues, *filter(None, [self.left_out])))


def read_gauges(session: Executor, *, now: datetime | None = None) -> Gauges:
    """Read all numbers, with a few statements."""
    live = workers.live(session, now=now)
    serving = Counter(queue for worker in live for queue in worker.queues)
    every = worst_first(queue_counts(session, now=now), served=serving)
    # A worker's queue without runs has a name too.
    names = list(dict.fromkeys([*(one.queue for one in every if one.queue in serving), *serving]))
    names = list(dict.fromkeys([*names, *(one.queue for one in every)]))
    shown = set(names[:MAX_QUEUES])
    queues = tuple(one for one in every if one.queue in shown)
    return Gauges(
        queues=queues,
        left_out=_together([one for one in every if one.queue not in shown]),
        queues_left_out=len(names) - len(shown),
        queue_workers={**{one.queue: 0 for one in queues}, **{name: serving[name] for name in shown if serving[name]}},
        threads=sum(worker.threads for worker in live),
        busy=sum(worker.busy for worker in live),
        leases_expired=_leases_expired(session, now=now),
        failing={worker.name: worker.problem for worker in live if worker.problem},
    )


def _together(queues: list[QueueCount]) -> QueueCount | None:
    if not queues:
        return None
    sums = {name: sum(getattr(one, name) for one in queues) for name in STATES}
    oldest = max((one.oldest_seconds or 0.0 for one in queues), default=None)
    return QueueCount(queue="", oldest_seconds=oldest, is_paused=False, **sums)


def _leases_expired(session: Executor, *, now: datetime | None) -> int:
    expired = select(func.count()).where(JobRun.state == RunState.RUNNING.value, JobRun.lease_until < ledger_now())
    return session.scalar(expired.execution_options(**HOT_ONLY), {"now": now}) or 0
