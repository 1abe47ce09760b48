"""Finds parked runs that have room although nobody made them ready, and slots that nobody uses."""

from __future__ import annotations

from jobs.app import App
from jobs.enqueue.publish import entries_of
from jobs.ledger.fairness.tenants import drop_idle_turns
from jobs.ledger.limits.counts import Key, with_room
from jobs.ledger.limits.parked import held_on
from jobs.ledger.limits.reassign import reassign
from jobs.ledger.limits.sweep import drop_idle_keys, drop_stale_slots, parked_keys
from jobs.ledger.records import Freed
from jobs.ready.protocol import ReadyEntry


def reassign_parked(app: App) -> tuple[int, list[ReadyEntry]]:
    """Hand slots that are free to parked runs. A fault, a resumed queue or the end of a hold left them parked.

    Returns no number of moved runs, so that it runs once a round: it looks at every limit that has parked runs.
    """
    with app.database.write() as connection:
        drop_stale_slots(connection)
        drop_idle_keys(connection)
        drop_idle_turns(connection)
    freed: list[Freed] = []
    after = ""
    while True:
        with app.database.read() as connection:
            keys: list[Key] = parked_keys(connection, after=after)
            roomy = with_room(connection, keys) if keys else []
        if not keys:
            return 0, entries_of(freed)
        if roomy:
            with app.database.write() as connection:
                some = reassign(connection, roomy)
                if some:
                    app.database.send_notify(connection)
            freed += some
        after = held_on(keys[-1])
