"""Counts the runs that ended under targets, once a minute, for their error budgets."""

from __future__ import annotations

from jobs.app import App
from jobs.ledger.moment import ledger_moment
from jobs.ledger.targets.budgets import count_on
from jobs.ledger.targets.counts import forget_old_counts, write_counts

TURN_STEPS = 24
"""Most steps of a turn: an hour each, after a pause. Source: decision; the other tasks run too."""
EVERY_SECONDS = 15.0
"""Seconds between two looks for a minute that is over. Source: decision."""


class TargetCounter:
    """Counts while its process leads the pruning. Two at once are safe: the first row of a minute stays."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._look_at = app.clock.monotonic()

    def turn(self) -> None:
        """Count what is due, a step in a transaction.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        clock, database = self._app.clock, self._app.database
        if clock.monotonic() < self._look_at:
            return
        self._look_at = clock.monotonic() + EVERY_SECONDS
        now = None
        for _ in range(TURN_STEPS):
            # Apart from the write: only a block that reads sees runs that moved to history.
            with database.read() as connection:
                now = now or ledger_moment(connection)
                rows = count_on(connection, self._app.settings, now=now)
            if not rows:
                return
            with database.write() as connection:
                write_counts(connection, rows)
                forget_old_counts(connection, now=now)
