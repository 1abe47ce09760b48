"""Limits in the ledger's metrics: what each allows, what is in use and what is parked. Keys are no labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.app import App
from jobs.ledger.limits.reports import list_limits
from jobs.observe import catalogue


def limit_gauges(app: App) -> Callable[[], Iterator[catalogue.Sample]]:
    """Returns the function that reads them."""

    def read() -> Iterator[catalogue.Sample]:
        with app.database.read() as connection:
            every = list_limits(connection)
        for one in every:
            yield catalogue.LIMIT_IN_USE, (one.name,), float(one.in_use)
            if one.allowed is not None:
                yield catalogue.LIMIT_MOST, (one.name,), float(one.allowed)
            yield catalogue.LIMIT_PARKED, (one.name,), float(one.parked)

    return read
