"""Rescues runs whose worker is gone, and ends runs that expired before their first start."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.app import App
from jobs.clock import Clock
from jobs.enqueue.publish import entries_after, entries_of
from jobs.ledger.runs.lease import shorten_far, wait_like_a_renewal
from jobs.ledger.runs.sweep import expire, moment_of, rescue
from jobs.ready.protocol import ReadyEntry
from jobs.states import Cause
from jobs.upkeep.ended_events import dead_letter_events, ended_events
from jobs.upkeep.ledger_reach import Reach

ALL_SECONDS = 30.0
"""How often a process searches all leases. Source: decision; meanwhile it finds every lease that expires, except one
that another transaction held locked, or wrote half a minute late."""
OVERLAP = timedelta(seconds=2)
"""By how much two searches overlap. Source: decision; most locks are held for milliseconds."""


class LeaseSearch:
    """Remembers up to which moment no lease had expired, so that the next search of this process begins there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all_at = float("-inf")
        self._to: datetime | None = None

    def since(self, moment: datetime) -> datetime | None:
        """Where a search begins at this moment of the ledger's clock; None: at the first lease."""
        if self._to is None or moment < self._to or self._clock.monotonic() >= self._all_at + ALL_SECONDS:
            return None
        return self._to - OVERLAP

    def found(self, count: int, *, since: datetime | None, moment: datetime) -> None:
        """Record the result of a search. After one that found some, the next begins at the first lease."""
        self._to = None if count else moment
        if since is None:
            self._all_at = self._clock.monotonic()


def rescue_abandoned(app: App, *, reach: Reach, search: LeaseSearch | None = None) -> tuple[int, list[ReadyEntry]]:
    """End attempts whose lease has expired; their runs go back to their queues, or are dead as poison.

    Does nothing while the ledger has been back for so short a time that living workers may not have renewed yet.

    Args:
        search: of a caller that searches again and again; None: search all leases.
    """
    search = search or LeaseSearch(app.clock)
    with app.database.write() as connection:
        # First, in the same transaction: a lock that has delayed a renewal until now delays nothing after it.
        wait_like_a_renewal(connection)
        if not reach.answered():
            return 0, []
        shorten_far(connection, lease=app.settings.lease)
        moment = moment_of(connection)
        since = search.since(moment)
        settled = rescue(connection, poison_after=app.settings.poison_after, since=since)
    search.found(len(settled), since=since, moment=moment)
    app.events.emit(ended_events(settled))
    return len(settled), entries_after(settled)


def expire_waiting(app: App) -> tuple[int, list[ReadyEntry]]:
    """Dead-letter runs that expired before their first start."""
    with app.database.write() as connection:
        dead_lettered = expire(connection)
        freed = [one for dead in dead_lettered for one in dead.freed]
        if freed:
            app.database.send_notify(connection)
    app.events.emit(dead_letter_events(dead_lettered, Cause.EXPIRED))
    return len(dead_lettered), entries_of(freed)
