"""Forecasts in the ledger's metrics: when each queue's backlog is gone, and how many worker processes it wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from jobs.forecast.drain import drain_of
from jobs.forecast.queue_states import QueueState
from jobs.forecast.scale import scale_of_state
from jobs.observe import catalogue


def forecast_gauges(
    states: Iterable[QueueState], targets: Mapping[str, int], *, default_target: float, default_threads: int
) -> Iterator[catalogue.Sample]:
    """The gauges of these queues. A backlog of which nothing is known yet has no time: its series is absent."""
    for one in states:
        likely = drain_of(one.facts).likely
        if likely is not None:
            yield catalogue.QUEUE_DRAIN, (one.name,), likely
        target = float(targets.get(one.name, default_target))
        wanted = scale_of_state(one, target_seconds=target, default_threads=default_threads).workers_wanted
        yield catalogue.WORKERS_WANTED, (one.name,), float(wanted)
