"""Targets in the ledger's metrics: what is promised, what ended, how much of the error budget is left, how it burns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.app import App
from jobs.ledger.targets.budgets import read_budgets
from jobs.ledger.targets.set_targets import read_in_force
from jobs.ledger.targets.waiting import oldest_of_kinds
from jobs.observe import catalogue

MAX_TARGETS = 500
"""Most targets with series; those with the least budget left come first. Source: decision; each has twenty series."""


def target_gauges(app: App) -> Callable[[], Iterator[catalogue.Sample]]:
    """Returns the function that reads them. A queue's latency target is among the queues' gauges."""

    def read() -> Iterator[catalogue.Sample]:
        with app.database.read() as connection:
            targets = read_in_force(connection)
            budgets = read_budgets(connection, app.settings, targets=targets)
            latencies = {
                name: one.target.latency_seconds
                for (what, name), one in targets.items()
                if what == "kind" and one.target.latency_seconds is not None
            }
            ages = oldest_of_kinds(connection, latencies)
        budgets.sort(key=lambda one: one.left)
        yield catalogue.TARGETS_LEFT_OUT, (), float(max(0, len(budgets) - MAX_TARGETS))
        for one in budgets[:MAX_TARGETS]:
            of = (one.what, one.name)
            yield catalogue.SUCCESS_TARGET, of, one.success
            yield catalogue.BUDGET_LEFT, of, one.left
            for burn in one.burns:
                window = (*of, burn.window)
                yield catalogue.BUDGET_BURN, window, burn.rate
                yield catalogue.TARGET_RUNS, (*window, "succeeded"), float(burn.count.succeeded)
                yield catalogue.TARGET_RUNS, (*window, "dead"), float(burn.count.dead)
        for kind, seconds in list(latencies.items())[:MAX_TARGETS]:
            yield catalogue.KIND_LATENCY_TARGET, (kind,), float(seconds)
            yield catalogue.KIND_OLDEST_AGE, (kind,), ages.get(kind, 0.0)

    return read
