"""A queue or kind: its counts, the workers that serve it, and its pause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.app import App
from jobs.errors import NotFound
from jobs.ledger import workers
from jobs.ledger.operators import queues
from jobs.ledger.operators.queue_retention import Kept, retained_queues, retention_of_queue
from jobs.ledger.operators.queue_values import queue_value, queue_values
from jobs.ledger.operators.retention import kept_by_settings
from jobs.ledger.queries import reports
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.insight.names import known_names
from jobs.states import RunState


@dataclass(frozen=True, slots=True)
class RetentionSummary:
    """How long runs of a queue that ended in one state are kept.

    Attributes:
        seconds: None for ever.
        is_set: whether an operator set it for the queue. Else it is the settings', and ``retain=`` of a kind wins over
            it.
    """

    state: str
    seconds: float | None
    is_set: bool


@dataclass(frozen=True, slots=True)
class QueueSummary:
    """A queue now.

    Attributes:
        count: None if it has no unfinished run.
        target_seconds: how long a ready run may wait: what an operator set, or JOBS_LATENCY_TARGET.
        is_target_set: whether an operator set it.
        max_waiting: how many runs may wait; None: no limit.
        retention: how long its ended runs are kept, by state.
    """

    name: str
    count: reports.QueueCount | None
    pause: queues.PauseRecord | None
    workers: list[str]
    kinds: list[str]
    target_seconds: float
    is_target_set: bool
    max_waiting: int | None
    retention: list[RetentionSummary]


def look_at(app: App, operator: Operator, name: str) -> QueueSummary:
    """The queue of this name.

    Raises:
        NotFound: no run and no worker knows it.
    """
    operator.need(Permission.RUNS_READ)
    if name not in known_names(app, operator, "queue"):
        raise NotFound(f"No run and no worker knows the queue {name!r}.", hint="jobledger queues list shows them.")
    with app.database.read() as connection:
        count = next((one for one in reports.queue_counts(connection) if one.queue == name), None)
        pause = queues.pauses(connection).get(name)
        live = workers.live(connection)
        target = queue_value(connection, "latency_target_seconds", name)
        most = queue_value(connection, "max_waiting", name)
        kept = retention_of_queue(connection, name)
    return _view(app, name, count, pause, live, target, most, kept)


def list_queues(app: App, operator: Operator, *, after: str = "", limit: int = 50) -> list[QueueSummary]:
    """Every queue that holds a run, is served or is paused, by name; those after ``after``."""
    operator.need(Permission.RUNS_READ)
    names = [one for one in known_names(app, operator, "queue") if one > after][:limit]
    with app.database.read() as connection:
        counted = {one.queue: one for one in reports.queue_counts(connection)}
        paused, live = queues.pauses(connection), workers.live(connection)
        set_targets = queue_values(connection, "latency_target_seconds")
        limits = queue_values(connection, "max_waiting")
        kept = retained_queues(connection)
    return [
        _view(
            app, one, counted.get(one), paused.get(one), live, set_targets.get(one), limits.get(one), kept.get(one, {})
        )
        for one in names
    ]  # fmt: skip


def _view(
    app: App,
    name: str,
    count: reports.QueueCount | None,
    pause: queues.PauseRecord | None,
    live: Sequence[workers.WorkerRecord],
    target: int | None,
    max_waiting: int | None,
    kept: Kept,
) -> QueueSummary:
    serving = [one for one in live if name in one.queues]
    kinds = sorted({kind for one in serving for kind in one.kinds})
    seconds = app.settings.latency_target.total_seconds() if target is None else float(target)
    names = [one.name for one in serving]
    retention = retention_summaries(app, kept)
    return QueueSummary(name, count, pause, names, kinds, seconds, target is not None, max_waiting, retention)


def retention_summaries(app: App, kept: Kept) -> list[RetentionSummary]:
    """How long runs of a queue are kept for which operators set ``kept``."""
    every = {**kept_by_settings(app.settings), **kept}
    return [
        RetentionSummary(state.value, None if span is None else span.total_seconds(), state in kept)
        for state, span in every.items()
    ]


@dataclass(frozen=True, slots=True)
class KindView:
    """What the ledger knows of a kind: runs by state, its pause, the live workers that know it."""

    runs: dict[RunState, int]
    pause: queues.PauseRecord | None
    workers: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether the ledger has nothing with its name."""
        return not (any(self.runs.values()) or self.pause or self.workers)


def look_at_kind(app: App, operator: Operator, name: str) -> KindView:
    """The kind of this name in the ledger, whether or not this process knows its job."""
    operator.need(Permission.RUNS_READ)
    with app.database.read() as connection:
        runs = reports.count_by_state(connection, kind=name)
        pause = queues.pauses(connection, "kind").get(name)
        knowing = [one.name for one in workers.live(connection) if name in one.kinds]
    return KindView(runs, pause, knowing)
