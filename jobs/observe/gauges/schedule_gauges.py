"""The scheduler's part of the ledger's metrics: its last tick, and the state of each schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.app import App
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import leader, schedules
from jobs.observe import catalogue

ROLE = "scheduler"
MAX_SCHEDULES = 1000
"""Most schedules with series, latest first. Source: decision; three metrics with a series each."""


def schedule_gauges(app: App) -> Callable[[], Iterator[catalogue.Sample]]:
    """Returns the function that reads them. If no scheduler has ever led, the last tick is absent, not zero."""

    def read() -> Iterator[catalogue.Sample]:
        with app.database.read() as connection:
            current = leader.leader(connection, ROLE)
            now = ledger_moment(connection)
            known = schedules.next_first(connection, limit=MAX_SCHEDULES)
            left_out = schedules.count(connection) - len(known)
            successes = schedules.last_successes(connection, [one.name for one in known])
        yield catalogue.SCHEDULES_LEFT_OUT, (), float(max(0, left_out))
        if current is not None:
            yield catalogue.LAST_TICK, (), current.ticked_at.timestamp()
        for one in known:
            late = 0.0
            if one.next_slot_at is not None:
                yield catalogue.NEXT_RUN, (one.name,), one.next_slot_at.timestamp()
                if one.paused_at is None:
                    late = max(0.0, (now - one.next_slot_at).total_seconds())
            yield catalogue.LATENESS, (one.name,), late
            if one.name in successes:
                yield catalogue.LAST_SUCCESS, (one.name,), successes[one.name].timestamp()

    return read
