"""Lets one process of the fleet do a task for all: it leads until it has been silent for the length of a lease.

Only to save effort: two leaders at once are safe.
"""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.clock import new_token
from jobs.enqueue.enqueuer import enqueuer
from jobs.ledger.schedules import leader

LEASE = timedelta(minutes=3)
"""How long a silent leader keeps the lead. Source: three looks."""
POLL_SECONDS = 60.0
"""Seconds between two looks, varied by a quarter. Source: decision."""


class Lead:
    """The lead of one role, which a look each minute takes and keeps."""

    def __init__(self, app: App, role: str) -> None:
        self._app = app
        self._role = role
        self._holder = f"{enqueuer()}/{new_token().hex[:8]}"
        self._look_at = app.clock.monotonic()
        self.leads = False
        """Whether this process led when it last looked."""

    def is_due(self) -> bool:
        """Whether it is time for this process to do the task. One that does not lead looks again in a minute.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        if self._app.clock.monotonic() < self._look_at:
            return False
        with self._app.database.read() as connection:
            current = leader.leader(connection, self._role, lease=LEASE)
        leads = current is None or not current.is_live or current.holder == self._holder
        if leads:
            with self._app.database.write() as connection:
                leads = leader.lead(connection, self._role, self._holder, lease=LEASE)
        self.leads = leads
        if not leads:
            self.rest()
        return leads

    def rest(self, seconds: float = POLL_SECONDS) -> None:
        """The task is done for now; it is due again in about this time."""
        clock = self._app.clock
        self._look_at = clock.monotonic() + seconds * (0.75 + clock.rng.random() / 2)
