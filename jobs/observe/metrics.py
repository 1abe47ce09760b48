"""Metrics: counts committed events, batch by batch, for the worker's endpoint."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.app import App
from jobs.definition import registry
from jobs.events import (
    AttemptEnded,
    BatchSettled,
    ResultRefused,
    RunDeadLettered,
    RunEnqueued,
    ServiceFailed,
)
from jobs.observe import catalogue
from jobs.observe.counts import Counts
from jobs.states import CHARGED, FINAL, Outcome, RunState

UNKNOWN = "unknown"
"""The label of a kind that this process does not know, so that made-up kinds create no series."""
OTHER = "other"
"""The label of a queue that no job of this process declares and that it does not serve, for the same reason."""


class Meter:
    """Counts the events of one process."""

    def __init__(self, counts: Counts, *, queues: Sequence[str] = ()) -> None:
        self._counts = counts
        self._kinds: dict[str, str] = {}
        self._queues = set(queues)

    def begin_at_zero(self, kinds: Sequence[str]) -> None:
        """Create the series of these kinds: a counter that appears at 1 has no rate."""
        for kind in kinds:
            queue = registry.get(kind).options.queue
            self._queues.add(queue)
            for outcome in (Outcome.SUCCEEDED, Outcome.FAILED):
                self._counts.add(catalogue.ATTEMPTS, (queue, kind, outcome.value), 0)
            for state in sorted(FINAL):
                self._counts.add(catalogue.FINISHED, (queue, kind, state.value), 0)
            self._counts.add(catalogue.RETRIES, (queue, kind), 0)
            self._counts.observe(catalogue.RUN, (queue, kind), ())
            self._counts.observe(catalogue.WAIT, (queue,), ())
        for metric in (catalogue.SETTLED, catalogue.COMMITS):
            self._counts.add(metric, (), 0)

    def count_ends(self, batch: list[AttemptEnded]) -> None:
        # What many of them share is looked up once, not for each.
        alike: defaultdict[tuple[str, str, Outcome, RunState], list[AttemptEnded]] = defaultdict(list)
        for one in batch:
            alike[one.queue, one.kind, one.outcome, one.state].append(one)
        ends: Counter[tuple[str, str, Outcome, RunState]] = Counter()
        waits: dict[str, list[float]] = defaultdict(list)
        runs: dict[tuple[str, str], list[float]] = defaultdict(list)
        for (theirs, name, outcome, state), some in alike.items():
            queue, kind = self._queue(theirs), self._kind(name)
            ends[queue, kind, outcome, state] += len(some)
            runs[queue, kind] += [one.elapsed_seconds for one in some]
            waited = [one.waited_seconds for one in some if one.waited_seconds is not None]
            if waited:
                waits[queue] += waited
        for (queue, kind, outcome, state), number in ends.items():
            self._counts.add(catalogue.ATTEMPTS, (queue, kind, outcome.value), number)
            if state in FINAL:
                self._counts.add(catalogue.FINISHED, (queue, kind, state.value), number)
            elif outcome in CHARGED:
                self._counts.add(catalogue.RETRIES, (queue, kind), number)
        for queue, seconds in waits.items():
            self._counts.observe(catalogue.WAIT, (queue,), seconds)
        for labels, seconds in runs.items():
            self._counts.observe(catalogue.RUN, labels, seconds)

    def count_enqueued(self, batch: list[RunEnqueued]) -> None:
        for (queue, kind), number in Counter((one.queue, one.kind) for one in batch).items():
            self._counts.add(catalogue.ENQUEUED, (self._queue(queue), self._kind(kind)), number)

    def count_dead_lettered(self, batch: list[RunDeadLettered]) -> None:
        for one in batch:
            self._counts.add(catalogue.FINISHED, (self._queue(one.queue), self._kind(one.kind), RunState.DEAD.value))

    def count_refused(self, batch: list[ResultRefused]) -> None:
        for one in batch:
            self._counts.add(catalogue.FENCED, (self._kind(one.kind),))

    def count_settled(self, batch: list[BatchSettled]) -> None:
        for one in batch:
            if one.runs:
                self._counts.add(catalogue.SETTLED, (), one.runs)
                self._counts.add(catalogue.COMMITS, ())

    def count_failed(self, batch: list[ServiceFailed]) -> None:
        for one in batch:
            metric = catalogue.READY_ERRORS if one.service == "ready" else catalogue.LEDGER_ERRORS
            self._counts.add(metric, (one.operation,))

    def _kind(self, kind: str) -> str:
        known = self._kinds.get(kind)
        if known is None:
            known = kind if registry.find(kind) is not None else UNKNOWN
            if known is kind:  # Unknown names are not cached: they may become known, and their number has no limit.
                self._kinds[kind] = kind
        return known

    def _queue(self, queue: str) -> str:
        return queue if queue in self._queues else OTHER


def subscribe(app: App, folder: Path, *, kinds: Sequence[str] = (), queues: Sequence[str] = ()) -> Callable[[], None]:
    """Count events into files in ``folder``; returns what to call at the end.

    ``queues``: those that this process serves, besides those that its kinds declare.
    """
    counts = Counts(folder, buckets=app.settings.metrics_buckets or catalogue.BUCKETS)
    meter = Meter(counts, queues=queues)
    meter.begin_at_zero(kinds)
    app.events.subscribe(AttemptEnded, meter.count_ends)
    app.events.subscribe(RunEnqueued, meter.count_enqueued)
    app.events.subscribe(RunDeadLettered, meter.count_dead_lettered)
    app.events.subscribe(ResultRefused, meter.count_refused)
    app.events.subscribe(BatchSettled, meter.count_settled)
    app.events.subscribe(ServiceFailed, meter.count_failed)
    return lambda: None
