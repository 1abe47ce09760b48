"""Forecasts of queues: when their backlog is gone, and how many worker processes would meet their target."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.app import App
from jobs.errors import NotFound
from jobs.forecast.drain import Drain, drain_of
from jobs.forecast.queue_states import QueueState, read_states
from jobs.forecast.scale import Scale, scale_of_state
from jobs.ledger.operators.queue_values import queue_value
from jobs.ledger.operators.queues import names_in_use
from jobs.operations.audit.operator import Operator, Permission


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


def forecasts(app: App, operator: Operator, *, queue: str | None = None, more_threads: int = 0) -> list[Forecast]:
    """The forecasts of the queues that hold runs; or of one.

    Raises:
        NotFound: nothing is known of ``queue``.
    """
    operator.need(Permission.RUNS_READ)
    return [
        Forecast(
            queue=one.name,
            ready=one.count.ready,
            parked=one.count.parked,
            is_paused=one.count.is_paused,
            threads=one.facts.threads,
            busy=one.facts.busy,
            drain=drain_of(one.facts),
            more_threads=more_threads,
            with_more=drain_of(one.facts, more_threads=more_threads) if more_threads else None,
        )
        for one in _states(app, queue)
    ]


def scale_of(app: App, operator: Operator, queue: str) -> Scale:
    """How many worker processes the queue wants.

    Raises:
        NotFound: nothing is known of ``queue``.
    """
    operator.need(Permission.RUNS_READ)
    (state,) = _states(app, queue)
    with app.database.read() as connection:
        seconds = queue_value(connection, "latency_target_seconds", queue)
    target = app.settings.latency_target.total_seconds() if seconds is None else float(seconds)
    return scale_of_state(state, target_seconds=target, default_threads=app.settings.threads)


def _states(app: App, queue: str | None) -> list[QueueState]:
    with app.database.read() as connection:
        states, known = read_states(connection, more=() if queue is None else (queue,))
        # A queue whose runs have all ended long ago has a forecast too.
        if queue is not None and queue not in known:
            known = names_in_use(connection)[0]
    if queue is None:
        return states
    if queue not in known:
        raise NotFound(f"Nothing is known of a queue {queue!r}.", hint="List them: jobledger queues list.")
    return [one for one in states if one.name == queue]
