"""Breakers in the ledger's metrics: how many slices are open, and how many runs they park. Keys are no labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from jobs.app import App
from jobs.ledger.breakers.reports import list_breakers
from jobs.observe import catalogue

Sample = tuple[catalogue.Metric, Sequence[str], float]


def breaker_gauges(app: App) -> Callable[[], Iterator[Sample]]:
    """Returns the function that reads them."""

    def read() -> Iterator[Sample]:
        with app.database.read() as connection:
            every = list_breakers(connection)
        for one in every:
            yield catalogue.BREAKER_OPEN, (one.name,), float(one.open)
            yield catalogue.BREAKER_PARKED, (one.name,), float(one.parked)

    return read
