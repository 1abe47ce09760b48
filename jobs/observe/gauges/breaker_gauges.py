"""Breakers in the ledger's metrics: how many slices are open, and how many runs they park. Keys are no labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.app import App
from jobs.ledger.breakers.reports import list_breakers
from jobs.observe import catalogue


def breaker_gauges(app: App) -> Callable[[], Iterator[catalogue.Sample]]:
    """Returns the function that reads them."""

    def read() -> Iterator[catalogue.Sample]:
        with app.database.read() as connection:
            every = list_breakers(connection)
        for one in every:
            yield catalogue.BREAKER_OPEN, (one.name,), float(one.open)
            yield catalogue.BREAKER_PARKED, (one.name,), float(one.parked)

    return read
