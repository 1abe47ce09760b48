"""Finds wrong counts of batches, and finishes what workers of an older release left open, which it logs."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from jobs.app import App
from jobs.enqueue.publish import announce, entries_of
from jobs.events import RunsSwept
from jobs.ledger.batches.find import broken_counts
from jobs.ledger.batches.parents import look_at
from jobs.ledger.batches.recount import close_hung, forgotten_dependents, open_batches
from jobs.ledger.records import Freed
from jobs.ledger.runs.end_effects import apply_end_effects
from jobs.upkeep.lead import Lead

log = logging.getLogger("jobs.upkeep")

ROLE = "batches"
AGE = timedelta(minutes=1)
"""Younger batches and waits are not looked at. Source: decision; most have ended by then."""
PAGE = 100
"""Batches, or runs, of one look. Source: decision."""
TURN_SECONDS = 1.0
"""Longest turn, so that the other tasks run too; the next one goes on from there. Source: decision."""


class BatchSweep:
    """Compares the counts of open batches with their members, if this process leads.

    A count that disagrees while members are live is reported, not changed. A batch without live members that has not
    ended would keep everybody waiting for ever: it is counted anew, which ends it. So are runs freed that wait for
    parents which have ended.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lead = Lead(app, ROLE)
        self._after: UUID | None = None
        self._reported: set[UUID] = set()

    def turn(self) -> None:
        """Look at the open batches for a second at most.

        Raises:
            ServiceDown: the ledger does not answer.
        """
        if not self._lead.is_due():
            return
        clock = self._app.clock
        until = clock.monotonic() + TURN_SECONDS
        self._free_dependents()
        while clock.monotonic() < until:
            with self._app.database.read() as connection:
                page = open_batches(connection, older_than=AGE, after=self._after, limit=PAGE)
                wrong = list(broken_counts(connection, among=page)) if page else []
            for batch_id, name, pending, truth in wrong:
                self._look_at(batch_id, name, pending, truth)
            self._after = page[-1] if len(page) == PAGE else None
            if self._after is None:
                self._reported &= {one[0] for one in wrong}
                break
        self._lead.rest()

    def _look_at(self, batch_id: UUID, name: str, pending: int, truth: int) -> None:
        facts = {"batch": str(batch_id), "batch_name": name, "pending": pending, "members_left": truth}
        if truth:
            if batch_id not in self._reported:
                self._reported.add(batch_id)
                log.warning("Count of a batch is wrong", extra=facts)
            return
        with self._app.database.write() as connection:
            freed = close_hung(connection, batch_id)
            if freed:
                self._app.database.send_notify(connection)
        if freed is not None:
            log.warning("Batch counted anew: its last members ended uncounted", extra=facts)
            self._publish(freed)

    def _free_dependents(self) -> None:
        with self._app.database.read() as connection:
            forgotten = forgotten_dependents(connection, older_than=AGE, limit=PAGE)
        if not forgotten:
            return
        with self._app.database.write() as connection:
            freed, cancelled = look_at(connection, forgotten, None)
            more = apply_end_effects(connection, cancelled)
            self._app.database.send_notify(connection)
        for run_id in [*(one.run_id for one in freed), *cancelled]:
            log.warning("Run no longer waits: its parents ended uncounted", extra={"run_id": str(run_id)})
        self._publish([*freed, *(one for some in more.values() for one in some)])

    def _publish(self, freed: list[Freed]) -> None:
        if freed:
            announce(self._app, entries_of(freed))
            self._app.events.emit([RunsSwept(ROLE, len(freed))])
