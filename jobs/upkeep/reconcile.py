"""Puts waiting runs that the ready index has lost back into it. Any process may do it at any time."""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.enqueue.publish import SOON, announce, entries_of
from jobs.errors import JobsError
from jobs.events import RunsSwept, ServiceFailed
from jobs.ledger.queries.waiting import overdue, soon_due, waiting
from jobs.ledger.records import Freed

OVERDUE_BATCH = 1000
"""Runs added again at once, per queue and priority: twice what a process takes at once. It changes no entry that is
there."""
REBUILD_BATCH = 1000


def reconcile(app: App) -> bool:
    """Rebuild the index if it has lost its mark; else add the overdue runs, which it may have lost.

    Returns whether more runs may be overdue, because a batch was full. A backlog looks the same, so the caller need not
    hurry unless workers find the index empty: then an old copy of it was restored, together with its mark.
    """
    if app.ready is None:
        return False
    try:
        if not app.ready.is_intact() and app.ready.mark_intact():
            rebuild(app)
            return False
    except JobsError as error:
        app.events.emit([ServiceFailed("ready", "reconcile", str(error))])
        return False
    return _add_overdue(app, after=app.settings.overdue_after)


def add_lost(app: App) -> None:
    """Add the first due runs of each queue again, and the first that are due soon. Nothing without a ready index.

    For the moment after a process has died. The index may have given it ids that it had not claimed yet, and its
    blocked call takes ids until Redis learns that nobody reads the answer: ids come from the front of a queue. And it
    may have committed a retry, or a slot of a rate, that it had not added yet.

    Raises:
        ServiceDown: the ledger does not answer.
    """
    if app.ready is not None:
        _add_overdue(app, after=timedelta(0))
        with app.database.read() as connection:
            soon = soon_due(connection, within=SOON, limit=OVERDUE_BATCH)
        announce(app, entries_of(soon))


def _add_overdue(app: App, *, after: timedelta) -> bool:
    """Returns whether more runs may be overdue."""
    with app.database.read() as connection:
        late = overdue(connection, after=after, limit=OVERDUE_BATCH)
    announce(app, entries_of(late))
    return len(late) >= OVERDUE_BATCH


def rebuild(app: App) -> int:
    """Add every waiting run to an index that was just marked; returns their number.

    If this is interrupted, the missing runs are added once they are overdue.
    """
    last: Freed | None = None
    count = 0
    while True:
        with app.database.read() as connection:
            batch = waiting(connection, after=last, limit=REBUILD_BATCH)
        if batch and not announce(app, entries_of(batch)):
            return count
        count += len(batch)
        if len(batch) < REBUILD_BATCH:
            break
        last = batch[-1]
    app.events.emit([RunsSwept("reconcile", count)])
    return count
