"""Heartbeat: renews the leases of a process, records that the process is alive, and reads cancellation requests.

It has its own thread and its own connection, so that jobs and batches cannot delay it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from jobs.app import App
from jobs.database.engine import Database
from jobs.errors import JobsError
from jobs.events import ServiceFailed
from jobs.ledger import workers
from jobs.ledger.records import Claim
from jobs.ledger.runs.lease import cancelled_among, renew
from jobs.settings import Settings
from worker.exchange.held_leases import HeldLeases

log = logging.getLogger("jobs.worker")

POLL_SECONDS = 2.0
"""How often cancellation requests are read while a run is performed. Source: design."""


def own_database(database: Database, settings: Settings) -> Database:
    """A database with one connection, for a heartbeat alone.

    Its timeouts leave time for a second try on a new connection before the lease expires, if the first is dead.
    """
    return database.apart(limit=settings.lease / 4)


class Heartbeat(threading.Thread):
    """One renewal statement a process every third of a lease; one read of cancellations every 2 s.

    Args:
        performing: returns the claims that are performed now.
        cancel: called with the token of an attempt for which there is a cancellation request.
        lose: called with the token of an attempt whose lease is lost. Its run may already be performed here again.
    """

    def __init__(
        self,
        app: App,
        held_leases: HeldLeases,
        *,
        worker: str,
        performing: Callable[[], Sequence[Claim]],
        cancel: Callable[[UUID], None],
        lose: Callable[[UUID], None],
    ) -> None:
        super().__init__(name="jobs-heartbeat", daemon=True)
        self._app = app
        self._database = own_database(app.database, app.settings)
        self._suspects: set[UUID] = set()
        self._held_leases = held_leases
        self._worker = worker
        self._performing = performing
        self._cancel = cancel
        self._lose = lose
        self._stopping = threading.Event()
        self.turned_at = app.clock.monotonic()
        self.what_fails: Callable[[], str | None] = lambda: None
        self.on_renewed: Callable[[], None] = lambda: None
        self.on_stop_asked: Callable[[], None] = lambda: None
        self.on_roll_asked: Callable[[datetime], None] = lambda moment: None

    def run(self) -> None:
        every = self._app.settings.lease.total_seconds() / 3
        clock = self._app.clock
        renew_at = clock.monotonic() + every
        pause = min(POLL_SECONDS, every)
        while not self._stopping.wait(pause):
            self.turned_at = clock.monotonic()
            pause = min(POLL_SECONDS, every)
            try:
                self.report_lost()
                if clock.monotonic() >= renew_at:
                    self.renew()
                    renew_at = clock.monotonic() + every
                self._read_cancellations()
            except JobsError as error:
                # The lease may end before a whole pause does: a dead connection took a third of it.
                pause = min(pause, every / 4)
                self._app.events.emit([ServiceFailed("ledger", "renew", str(error))])
            except Exception:
                log.exception("Heartbeat failed and is tried again")

    def stop(self) -> None:
        self._stopping.set()
        self.join(5)
        if self._database is not self._app.database:
            self._database.close()

    def renew(self) -> None:
        """Renew every held lease, and record that this process is alive."""
        claims = self._held_leases.all()
        with self._database.write(urgent=True) as connection:
            pairs = [(one.run_id, one.token) for one in claims]
            ours = renew(connection, pairs, lease=self._app.settings.lease)
            asked = workers.see(connection, self._worker, busy=len(self._performing()), problem=self.what_fails())
        if asked.roll_at is not None:
            self.on_roll_asked(asked.roll_at)
        if asked.stop_at is not None:
            self.on_stop_asked()
        self.on_renewed()
        self._suspects = {claim.token for claim in claims if claim.token not in ours}

    def report_lost(self) -> None:
        """Report lost leases: those that the previous renewal did not find and that are still held. An attempt that
        ended here meanwhile is not held any more.
        """
        suspects, self._suspects = self._suspects, set()
        for claim in self._held_leases.all() if suspects else ():
            if claim.token in suspects and self._held_leases.drop(claim.token) is not None:
                log.warning("Lease lost", extra={"run_id": str(claim.run_id), "kind": claim.kind})
                self._lose(claim.token)

    def _read_cancellations(self) -> None:
        performing = [(one.run_id, one.token) for one in self._performing()]
        if not performing:
            return
        with self._database.read() as connection:
            cancelled = cancelled_among(connection, performing)
        for token in cancelled:
            self._cancel(token)
