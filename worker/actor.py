"""Actor: one dramatiq actor for each kind, which performs a claimed run and leaves its ending on the delivery."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import dramatiq

from jobs import registry
from jobs.app import App
from jobs.dramatiq import actor_job
from jobs.ledger.records import Claim
from jobs.run import StopSign
from worker.attempt import Attempts
from worker.children import Children, performs_alone
from worker.deadline import Deadlines, Ticket, TooLate
from worker.delivery import Delivery
from worker.halt import Halt
from worker.intake import Intake
from worker.limits import Limits, limits_for
from worker.marks import NEVER, Marks
from worker.starts import tell_start
from worker.thread_broker import SeamBroker

OnStuck = Callable[[threading.Thread], None]
"""Told of a thread that hangs in a job whose attempt has been ended; its slot must come back."""


class Actors:
    """What the threads of a process do with a delivery."""

    def __init__(
        self,
        app: App,
        intake: Intake,
        marks: Marks,
        deadlines: Deadlines,
        attempts: Attempts,
        children: Children,
        *,
        worker: str,
        stopping: StopSign,
        on_stuck: OnStuck,
        on_interrupted: Callable[[str], None],
    ) -> None:
        self._app = app
        self._intake = intake
        self._marks = marks
        self._deadlines = deadlines
        self._attempts = attempts
        self._children = children
        self._worker = worker
        self._stopping = stopping
        self._on_stuck = on_stuck
        self._on_interrupted = on_interrupted
        # By token: a run that was lost and claimed again may be performed twice at once.
        self._performing: dict[UUID, tuple[Claim, Callable[[], None]]] = {}
        self._limits: dict[str, Limits] = {}

    def declare(self, broker: SeamBroker) -> None:
        """Give ``broker`` an actor for each kind that this process knows."""
        for kind in registry.names():
            queue = registry.get(kind).options.queue
            dramatiq.Actor(self.perform, broker=broker, actor_name=kind, queue_name=queue, priority=0, options={})

    def perform(self, delivery: Delivery) -> None:
        """Perform what was claimed. Raises nothing: how it ended is on the delivery."""
        if not self._intake.begin(delivery):
            return
        if self._app.settings.log_starts:
            tell_start(self._app, delivery)
        if performs_alone(delivery.claim):
            self._perform_alone(delivery)
        else:
            self._perform_here(delivery)

    def performing(self) -> list[Claim]:
        """The claims that threads perform just now."""
        return [claim for claim, _ in list(self._performing.values())]

    def cancel(self, token: UUID) -> None:
        """Interrupt the job of this attempt, if it is performed here."""
        performed = self._performing.get(token)
        if performed is not None:
            performed[1]()

    def _perform_here(self, delivery: Delivery) -> None:
        claim = delivery.claim
        halt = Halt(self._stopping)
        began = self._app.clock.monotonic()
        ticket = Ticket(partial(self._over_hard, delivery, threading.current_thread(), began))
        self._performing[claim.token] = claim, partial(self._cancel, ticket, halt)
        try:
            ending, run = self._attempts.attempt(claim, partial(self._within_limits, delivery, ticket), stop=halt)
        except TooLate:
            # Ended by the watchdog, and not ours any more: not the run, not its mark.
            return
        finally:
            del self._performing[claim.token]
        self._marks.ended(delivery.mark)
        if run.session is not None:
            delivery.settled = self._attempts.commit(ending, run, worker=self._worker)
        delivery.ending = ending
        if ticket.interrupted:
            self._on_interrupted(claim.kind)

    def _perform_alone(self, delivery: Delivery) -> None:
        claim = delivery.claim
        stopper = self._children.stopper()
        self._performing[claim.token] = claim, stopper.cancel
        limits = self._limits_of(claim)
        delivery.mark = self._marks.start(claim.token)
        # Not this process's doing, whatever it does: should the process die of another run, this one is innocent.
        self._marks.ended(delivery.mark)
        try:
            ending, settled = self._children.perform(
                claim, limits, stopper, is_ours=partial(self._intake.is_busy, delivery)
            )
        finally:
            del self._performing[claim.token]
        if ending is not None:
            delivery.settled, delivery.ending = settled, ending

    def _within_limits(self, delivery: Delivery, ticket: Ticket, fn: Callable[[], Any]) -> Any:
        claim = delivery.claim
        limits = self._limits_of(claim)
        until = NEVER if limits.hard is None else self._app.clock.monotonic() + limits.hard
        delivery.mark = self._marks.start(claim.token, until)
        ticket.limit_error = limits.error
        return self._deadlines.perform(fn, ticket=ticket, soft_seconds=limits.soft, hard_seconds=limits.hard)

    def _limits_of(self, claim: Claim) -> Limits:
        found = self._limits.get(claim.kind)
        if found is None:
            found = limits_for(claim, self._app.settings)
            if claim.kind not in actor_job.brokers:
                self._limits[claim.kind] = found
        return found

    def _cancel(self, ticket: Ticket, halt: Halt) -> None:
        halt.set()
        self._deadlines.cancel(ticket)

    def _over_hard(self, delivery: Delivery, thread: threading.Thread, began: float) -> None:
        """On the watchdog's thread: end the attempt that does not end, and give its slot back."""
        claim = delivery.claim
        ending = self._attempts.over(
            claim,
            self._app.clock.monotonic() - began,
            thread=thread.ident,
            why="The attempt did not end at its time limit, nor at the hard limit after it.",
        )
        if self._intake.end(delivery, ending):
            self._on_stuck(thread)
