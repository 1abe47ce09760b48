"""Leader election: of several schedulers one works, to save effort; the others check once a second that it does."""

from __future__ import annotations

from jobs.app import App
from jobs.clock import new_token
from jobs.enqueue.enqueuer import enqueuer
from jobs.events import LeadChanged
from jobs.ledger.schedules import leader

ROLE = "scheduler"
RENEW_SECONDS = 1.0
"""A leader renews its lease this often. Source: a lease has time for three renewals and one more."""


class Leadership:
    """Whether this process leads. It saves work only: correctness never depends on it."""

    def __init__(self, app: App) -> None:
        self.holder = f"{enqueuer()}/{new_token().hex[:8]}"
        self.is_leading = False
        self._app = app
        self._renewed = 0.0

    def renew(self) -> bool:
        """Renew the leadership, or take it if it is free. Returns whether this process leads now.

        Raises:
            ServiceDown: the ledger does not answer, so the answer is not known.
        """
        now = self._app.clock.monotonic()
        if self.is_leading and now - self._renewed < RENEW_SECONDS:
            return True
        try:
            leads = self._may_lead() and self._take()
        except Exception:
            self._change(False)
            raise
        self._renewed = now
        self._change(leads)
        return leads

    def resign(self) -> None:
        """Let another lead at once."""
        if self.is_leading:
            with self._app.database.write(urgent=True) as connection:
                leader.resign(connection, ROLE, self.holder)
            self._change(False)

    def _may_lead(self) -> bool:
        if self.is_leading:
            return True
        # By a read, so that standby schedulers never wait for SQLite's one writer.
        with self._app.database.read() as connection:
            current = leader.leader(connection, ROLE)
        return current is None or not current.is_live or current.holder == self.holder

    def _take(self) -> bool:
        # A transaction of one statement, so that a process that is frozen here holds no lock.
        with self._app.database.write(urgent=True, alone=True) as connection:
            return leader.lead(connection, ROLE, self.holder)

    def _change(self, leads: bool) -> None:
        if leads != self.is_leading:
            self.is_leading = leads
            self._app.events.emit([LeadChanged(self.holder, leads)])
