"""Forecasts of queues: when their backlog is gone, and how many worker processes would meet their target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from jobs.app import App
from jobs.errors import NotFound
from jobs.ledger.operators.queue_values import queue_value
from jobs.ledger.queries.flow import Flow, read_flows
from jobs.ledger.queries.gauges import read_gauges
from jobs.ledger.queries.reports import QueueCount
from jobs.ledger.workers import WorkerRecord, live
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.insight.drain import Drain, Facts, drain_of, threads_for

STEP_DOWN = 0.25
"""The largest part of the processes that a signal takes away at once. Source: decision; damps a signal that swings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The forecast for one queue. ``with_more`` is that with ``more_threads`` more; None if none were asked for."""

    queue: str
    ready: int
    parked: int
    is_paused: bool
    threads: int
    busy: int
    drain: Drain
    more_threads: int
    with_more: Drain | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many worker processes would meet a queue's target.

    Attributes:
        workers_wanted: damped: at most a quarter less than there are.
        workers: live processes that serve the queue.
        target_seconds: how long a ready run may wait.
        reason: ``paused``, ``idle``, ``unknown`` (no attempt has ended), ``limited`` (more would wait for a limit),
            ``behind`` or ``enough``.
    """

    queue: str
    workers_wanted: int
    workers: int
    ready: int
    target_seconds: float
    reason: str


def forecasts(app: App, operator: Operator, *, queue: str | None = None, more_threads: int = 0) -> list[Forecast]:
    """The forecasts of the queues that hold runs; or of one.

    Raises:
        NotFound: nothing is known of ``queue``.
    """
    operator.need(Permission.RUNS_READ)
    found = []
    for count, facts, _ in _read(app, queue):
        found.append(
            Forecast(
                queue=count.queue,
                ready=count.ready,
                parked=count.parked,
                is_paused=count.is_paused,
                threads=facts.threads,
                busy=facts.busy,
                drain=drain_of(facts),
                more_threads=more_threads,
                with_more=drain_of(facts, more_threads=more_threads) if more_threads else None,
            )
        )
    return found


def scale_of(app: App, operator: Operator, queue: str) -> Scale:
    """How many worker processes the queue wants.

    Raises:
        NotFound: nothing is known of ``queue``.
    """
    operator.need(Permission.RUNS_READ)
    ((count, facts, serving),) = _read(app, queue)
    with app.database.read() as connection:
        seconds = queue_value(connection, "latency_target_seconds", queue)
        target = app.settings.latency_target.total_seconds() if seconds is None else float(seconds)
    each = round(median(one.threads for one in serving)) if serving else app.settings.threads
    wanted, reason = _wanted(count, facts, target, each, len(serving))
    least = math.ceil(len(serving) * (1 - STEP_DOWN)) if reason != "paused" else 0
    return Scale(
        queue=queue,
        workers_wanted=max(wanted, least),
        workers=len(serving),
        ready=count.ready,
        target_seconds=target,
        reason=reason,
    )


def _wanted(count: QueueCount, facts: Facts, target: float, each: int, serving: int) -> tuple[int, str]:
    if count.is_paused:
        return 0, "paused"
    if not count.ready and not count.running and not any(facts.came):
        return 0, "idle"
    threads = threads_for(facts, within=target)
    if threads is None:
        return max(1, serving), "unknown"
    wanted = max(1, math.ceil(threads / max(1, each)))
    if count.parked and wanted > serving and facts.busy < facts.threads:
        return max(1, serving), "limited"
    return wanted, "behind" if wanted > serving else "enough"


def _read(app: App, queue: str | None) -> list[tuple[QueueCount, Facts, list[WorkerRecord]]]:
    with app.database.read() as connection:
        gauges = read_gauges(connection)
        flows, seconds = read_flows(connection)
        workers = live(connection)
    counts = {one.queue: one for one in gauges.queues}
    if queue is not None and queue not in counts:
        if queue not in flows and not any(queue in one.queues for one in workers):
            raise NotFound(f"Nothing is known of a queue {queue!r}.", hint="List them: jobledger queues list.")
        counts = {queue: _empty(queue)}
    found = []
    for name, count in sorted(counts.items()):
        if queue not in (None, name):
            continue
        serving = [one for one in workers if name in one.queues]
        flow = flows.get(name, Flow(seconds))
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
        found.append((count, facts, serving))
    return found


def _empty(queue: str) -> QueueCount:
    return QueueCount(
        queue=queue, ready=0, scheduled=0, retrying=0, parked=0, waiting=0, running=0, dead=0, oldest_seconds=None,
        is_paused=False,
    )  # fmt: skip
