"""Unacknowledged claims: after a lost commit answer, the ledger may hold claims of this worker with unknown
tokens."""

from __future__ import annotations

import logging

from jobs.app import App
from jobs.enqueue.publish import announce, entries_of
from jobs.ledger.runs.sweep import release_unacknowledged
from worker.exchange.held_leases import HeldLeases

log = logging.getLogger("jobs.worker")


class UnacknowledgedClaims:
    """Releases the claims that this process does not know; for the thread that claims.

    Otherwise such runs would wait until their leases expire, and count as abandoned by this worker.
    """

    def __init__(self, app: App, held_leases: HeldLeases, *, worker: str) -> None:
        self._app = app
        self._held_leases = held_leases
        self._worker = worker

    def release(self) -> None:
        """Release them, in one transaction.

        Raises:
            JobsError: the ledger does not answer.
        """
        known = self._held_leases.known()
        with self._app.database.write() as connection:
            freed = release_unacknowledged(connection, self._worker, held=known)
            if freed:
                self._app.database.send_notify(connection)
        announce(self._app, entries_of(freed))
        if freed:
            log.warning("Unacknowledged claims released", extra={"released": len(freed)})
