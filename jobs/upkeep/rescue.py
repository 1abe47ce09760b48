"""Rescues runs whose worker is gone, and ends runs that expired before their first start."""

from __future__ import annotations

from jobs.app import App
from jobs.enqueue.publish import entries_after
from jobs.ledger.runs.lease import shorten_far, wait_like_a_renewal
from jobs.ledger.runs.sweep import expire, rescue
from jobs.ready.protocol import ReadyEntry
from jobs.states import Cause
from jobs.upkeep.ended_events import dead_letter_events, ended_events
from jobs.upkeep.ledger_reach import Reach


def rescue_abandoned(app: App, *, reach: Reach) -> tuple[int, list[ReadyEntry]]:
    """End attempts whose lease has expired; their runs go back to their queues, or are dead as poison.

    Does nothing while the ledger has been back for so short a time that living workers may not have renewed yet.
    """
    with app.database.write() as connection:
        # First, in the same transaction: a lock that has delayed a renewal until now delays nothing after it.
        wait_like_a_renewal(connection)
        if not reach.answered():
            return 0, []
        shorten_far(connection, lease=app.settings.lease)
        settled = rescue(connection, poison_after=app.settings.poison_after)
    app.events.emit(ended_events(settled))
    return len(settled), entries_after(settled)


def expire_waiting(app: App) -> tuple[int, list[ReadyEntry]]:
    """Dead-letter runs that expired before their first start."""
    with app.database.write() as connection:
        dead_lettered = expire(connection)
    app.events.emit(dead_letter_events(dead_lettered, Cause.EXPIRED))
    return len(dead_lettered), []
