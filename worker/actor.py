"""Actor: one dramatiq actor for each kind, which performs a claimed run and leaves its ending on the delivery."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import dramatiq

from jobs import registry
from jobs.app import App
from jobs.dramatiq import Delivery, LedgerBroker
from jobs.ledger.records import Claim
from worker.attempt import Attempts
from worker.deadline import Deadlines, Ticket
from worker.intake import Intake
from worker.marks import Marks
from worker.starts import tell_start


class Actors:
    """What the threads of a process do with a delivery."""

    def __init__(
        self,
        app: App,
        intake: Intake,
        marks: Marks,
        deadlines: Deadlines,
        *,
        worker: str,
        stopping: threading.Event,
    ) -> None:
        self._app = app
        self._intake = intake
        self._marks = marks
        self._deadlines = deadlines
        self._worker = worker
        self._attempts = Attempts(app, self._within_limits, stopping=stopping)
        self._tickets: dict[UUID, Ticket] = {}

    def declare(self, broker: LedgerBroker) -> None:
        """Give ``broker`` an actor for each kind that this process knows."""
        for kind in registry.names():
            queue = registry.get(kind).options.queue
            dramatiq.Actor(self.perform, broker=broker, actor_name=kind, queue_name=queue, priority=0, options={})

    def perform(self, delivery: Delivery) -> None:
        """Perform what was claimed. Raises nothing: how it ended is on the delivery."""
        if not self._intake.begin(delivery):
            return
        delivery.mark = self._marks.start(delivery.claim.run_id)
        if self._app.settings.log_starts:
            tell_start(self._app, delivery)
        ending, run = self._attempts.attempt(delivery.claim)
        self._marks.ended(delivery.mark)
        if run.session is not None:
            delivery.settled = self._attempts.commit(ending, run, worker=self._worker)
        delivery.ending = ending

    def performing(self) -> list[UUID]:
        """The runs that threads perform just now."""
        return list(self._tickets)

    def cancel(self, run_id: UUID) -> None:
        """Interrupt the job of this run, if it is performed here."""
        ticket = self._tickets.get(run_id)
        if ticket is not None:
            self._deadlines.cancel(ticket)

    def _within_limits(self, fn: Callable[[], Any], claim: Claim, timeout: timedelta | None) -> Any:
        ticket = self._tickets[claim.run_id] = Ticket()
        try:
            return self._deadlines.perform(
                fn, ticket=ticket, soft_seconds=timeout.total_seconds() if timeout is not None else None
            )
        finally:
            del self._tickets[claim.run_id]
