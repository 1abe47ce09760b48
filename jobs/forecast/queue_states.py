"""What a forecast of each queue is made from: its runs, its workers, and what came and ended lately."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.database.sql import Executor
from jobs.forecast.drain import Facts
from jobs.ledger.queries.flow import Flow, read_flows
from jobs.ledger.queries.gauges import Gauges, read_gauges
from jobs.ledger.queries.reports import QueueCount
from jobs.ledger.workers import WorkerRecord, live


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """A queue now and in the last minutes. ``serving`` are the live processes that serve it."""

    count: QueueCount
    facts: Facts
    serving: tuple[WorkerRecord, ...]

    @property
    def name(self) -> str:
        return self.count.queue


def read_states(
    session: Executor, *, more: Iterable[str] = (), gauges: Gauges | None = None
) -> tuple[list[QueueState], set[str]]:
    """The states of the queues that hold runs, by name; and the names of all queues that anything is known of.

    A few statements, each limited, however many queues there are.

    Args:
        more: further queues, although they hold no run.
        gauges: what ``read_gauges`` returned a moment ago.
    """
    seen = gauges or read_gauges(session)
    flows, seconds = read_flows(session)
    workers = live(session)
    counts = {one.queue: one for one in seen.queues}
    counts.update({name: _empty(name) for name in more if name not in counts})
    served = {queue for one in workers for queue in one.queues}
    states = [_state(one, flows.get(one.queue, Flow(seconds)), workers) for _, one in sorted(counts.items())]
    return states, {*(one.queue for one in seen.queues), *flows, *served}


def _state(count: QueueCount, flow: Flow, workers: list[WorkerRecord]) -> QueueState:
    serving = tuple(one for one in workers if count.queue in one.queues)
    threads = sum(one.threads for one in serving)
    facts = Facts(
        ready=count.ready,
        oldest_seconds=count.oldest_seconds or 0.0,
        busy=min(count.running, threads),
        threads=threads,
        came=flow.came,
        took=flow.took,
        seconds=flow.seconds,
        retried=flow.retried,
        is_paused=count.is_paused,
    )
    return QueueState(count=count, facts=facts, serving=serving)


def _empty(queue: str) -> QueueCount:
    return QueueCount(
        queue=queue, ready=0, scheduled=0, retrying=0, parked=0, waiting=0, running=0, dead=0, oldest_seconds=None,
        is_paused=False,
    )  # fmt: skip
