"""Leader: one of many schedulers works, to save effort; the others look once a second whether it still does."""

from __future__ import annotations

from jobs.app import App
from jobs.clock import new_token
from jobs.enqueue.write_path import enqueuer
from jobs.events import LeadChanged
from jobs.ledger.schedules import leader

ROLE = "scheduler"
RENEW_SECONDS = 1.0
"""A leader renews its lease this often. Source: three chances within the lease and one to spare."""


class Leadership:
    """This process's part in it. Never relied on for what must hold."""

    def __init__(self, app: App) -> None:
        self.holder = f"{enqueuer()}/{new_token().hex[:8]}"
        self.is_leading = False
        self._app = app
        self._renewed = 0.0

    def keep(self) -> bool:
        """Whether this process leads now: renews what it has, or takes what is free.

        Raises:
            ServiceDown: the ledger does not answer; then nobody can say.
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
        # By reading, so that those who stand by never queue for SQLite's one writer.
        with self._app.database.read() as connection:
            current = leader.leader(connection, ROLE)
        return current is None or not current.is_live or current.holder == self.holder

    def _take(self) -> bool:
        # A statement by itself: frozen here, we hold no lock.
        with self._app.database.write(urgent=True, alone=True) as connection:
            return leader.lead(connection, ROLE, self.holder)

    def _change(self, leads: bool) -> None:
        if leads != self.is_leading:
            self.is_leading = leads
            self._app.events.emit([LeadChanged(self.holder, leads)])
