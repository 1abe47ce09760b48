"""Keeps breakers going: chooses canaries in place of lost ones, and makes ready what a closed breaker still parks."""

from __future__ import annotations

from jobs.app import App
from jobs.enqueue.publish import announce, entries_of
from jobs.ledger.breakers.failures import drop_old_failures
from jobs.ledger.breakers.slices import held_on
from jobs.ledger.breakers.sweep import drop_idle_slices, free_closed, parked_slices
from jobs.ready.protocol import ReadyEntry


def sweep_breakers(app: App) -> tuple[int, list[ReadyEntry]]:
    """Look at every slice that runs are parked on, once a round; each batch of freed runs is a transaction."""
    with app.database.write() as connection:
        drop_old_failures(connection)
        drop_idle_slices(connection)
    after = ""
    while True:
        with app.database.read() as connection:
            slices = parked_slices(connection, after=after)
        if not slices:
            return 0, []
        for one in slices:
            has_more = True
            while has_more:
                with app.database.write() as connection:
                    freed, has_more = free_closed(connection, one)
                    if freed:
                        app.database.send_notify(connection)
                announce(app, entries_of(freed))
        after = held_on(slices[-1])
