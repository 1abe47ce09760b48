"""Claims whose commit was not acknowledged: the ledger may hold them as ours under tokens that we do not know."""

from __future__ import annotations

import logging

from jobs.app import App
from jobs.enqueue.publish import announce
from jobs.ledger.runs.sweep import release_unacknowledged
from jobs.ready.protocol import ReadyEntry
from worker.exchange.held_leases import HeldLeases

log = logging.getLogger("jobs.worker")


class UnacknowledgedClaims:
    """Gives back what nobody here knows to have been claimed; for the thread that claims.

    Without it such runs would wait until their leases are over, and count as lost by us.
    """

    def __init__(self, app: App, held_leases: HeldLeases, *, worker: str) -> None:
        self._app = app
        self._held_leases = held_leases
        self._worker = worker

    def release(self) -> None:
        """Ask the ledger once.

        Raises:
            JobsError: it does not answer.
        """
        known = self._held_leases.known()
        with self._app.database.write() as connection:
            freed = release_unacknowledged(connection, self._worker, held=known)
            if freed:
                self._app.database.send_notify(connection)
        announce(self._app, [ReadyEntry(one.run_id, one.queue, one.priority, one.run_at) for one in freed])
        if freed:
            log.warning("Unacknowledged claims released", extra={"released": len(freed)})
