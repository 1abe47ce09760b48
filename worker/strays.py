"""Strays: claims whose commit was not answered. The ledger may hold them as ours, and we do not know their tokens."""

from __future__ import annotations

import logging

from jobs.announce import announce
from jobs.app import App
from jobs.ledger.sweep import release_strays
from jobs.ready.protocol import ReadyEntry
from worker.holdings import Holdings

log = logging.getLogger("jobs.worker")


class Strays:
    """Gives back what nobody here knows to have been claimed; for the thread that claims.

    Without it such runs would wait until their leases are over, and count as lost by us.
    """

    def __init__(self, app: App, holdings: Holdings, *, worker: str) -> None:
        self._app = app
        self._holdings = holdings
        self._worker = worker

    def release(self) -> None:
        """Ask the ledger once.

        Raises:
            JobsError: it does not answer.
        """
        known = self._holdings.known()
        with self._app.database.write() as connection:
            freed = release_strays(connection, self._worker, held=known)
            if freed:
                self._app.database.ring(connection)
        announce(self._app, [ReadyEntry(one.run_id, one.queue, one.priority, one.run_at) for one in freed])
        if freed:
            log.warning("Gave back claims that the ledger had not answered.", extra={"released": len(freed)})
