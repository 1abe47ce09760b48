"""The dramatiq actor of each kind: performs a claimed run and puts its result on the delivery."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import dramatiq

from jobs.app import App
from jobs.definition import registry
from jobs.ledger.records import Claim
from jobs.messages import actor_job
from jobs.runtime.attempt_state import StopSign
from worker.attempt.attempt import Attempts
from worker.attempt.limits import Limits, limits_for
from worker.attempt.stop_flag import StopFlag
from worker.children.child_pool import Children, performs_alone
from worker.exchange.delivery import Delivery
from worker.exchange.fetcher import Fetcher
from worker.process.start_log import log_start
from worker.process.thread_broker import ThreadBroker
from worker.protocol.running_table import NEVER, RunningRows
from worker.timeouts.deadline import Deadlines, TimeoutToken, TooLate

OnStuck = Callable[[threading.Thread], None]
"""Called with a thread that hangs in a job whose attempt has been ended; its slot must be freed."""


class Actors:
    """Performs deliveries on the threads of a process."""

    def __init__(
        self,
        app: App,
        fetcher: Fetcher,
        running_rows: RunningRows,
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
        self._fetcher = fetcher
        self._running_rows = running_rows
        self._deadlines = deadlines
        self._attempts = attempts
        self._children = children
        self._worker = worker
        self._stopping = stopping
        self._on_stuck = on_stuck
        self._on_interrupted = on_interrupted
        # By the token's number, not by run: a run that was lost and claimed again may be performed twice at once.
        self._performing: dict[int, tuple[Claim, Callable[[], None]]] = {}
        self._limits: dict[str, Limits] = {}

    def declare(self, broker: ThreadBroker) -> None:
        """Declare an actor in ``broker`` for each kind that this process knows."""
        for kind in registry.names():
            queue = registry.get(kind).options.queue
            dramatiq.Actor(self.perform, broker=broker, actor_name=kind, queue_name=queue, priority=0, options={})

    def perform(self, delivery: Delivery) -> None:
        """Perform a claimed run. Raises nothing: the result is on the delivery."""
        if not self._fetcher.buffer.begin(delivery):
            return
        if self._app.settings.log_starts:
            log_start(self._app, delivery)
        if performs_alone(delivery.claim):
            self._perform_alone(delivery)
        else:
            self._perform_here(delivery)

    def performing(self) -> list[Claim]:
        """The claims that threads perform now."""
        return [claim for claim, _ in list(self._performing.values())]

    def cancel(self, token: UUID) -> None:
        """Interrupt the job of this attempt, if a thread of this process performs it."""
        performed = self._performing.get(token.int)
        if performed is not None:
            performed[1]()

    def _perform_here(self, delivery: Delivery) -> None:
        claim = delivery.claim
        stop_flag = StopFlag(self._stopping)
        began = self._app.clock.monotonic()
        timeout_token = TimeoutToken(partial(self._over_hard, delivery, threading.current_thread(), began))
        self._performing[claim.token.int] = claim, partial(self._cancel, timeout_token, stop_flag)
        try:
            attempt_result, run = self._attempts.attempt(
                claim, partial(self._within_limits, delivery, timeout_token), stop=stop_flag
            )
        except TooLate:
            # The watchdog has ended it: neither the run nor its row in the running table is ours any more.
            return
        finally:
            del self._performing[claim.token.int]
        self._running_rows.ended(delivery.running_row)
        if run.session is not None:
            delivery.settled = self._attempts.commit(attempt_result, run, worker=self._worker)
        delivery.attempt_result = attempt_result
        if timeout_token.interrupted:
            self._on_interrupted(claim.kind)

    def _perform_alone(self, delivery: Delivery) -> None:
        claim = delivery.claim
        stopper = self._children.stopper()
        self._performing[claim.token.int] = claim, stopper.cancel
        limits = self._limits_of(claim)
        delivery.running_row = self._running_rows.start(claim.token)
        # Not in the running table: if this process dies, a run in a child process is not the cause.
        self._running_rows.ended(delivery.running_row)
        try:
            attempt_result, settled = self._children.perform(
                claim, limits, stopper, is_ours=partial(self._fetcher.buffer.is_busy, delivery)
            )
        finally:
            del self._performing[claim.token.int]
        if attempt_result is not None:
            delivery.settled, delivery.attempt_result = settled, attempt_result

    def _within_limits(self, delivery: Delivery, timeout_token: TimeoutToken, fn: Callable[[], Any]) -> Any:
        claim = delivery.claim
        limits = self._limits_of(claim)
        until = NEVER if limits.hard is None else self._app.clock.monotonic() + limits.hard
        delivery.running_row = self._running_rows.start(claim.token, until)
        timeout_token.limit_error = limits.error
        return self._deadlines.perform(
            fn, timeout_token=timeout_token, soft_seconds=limits.soft, hard_seconds=limits.hard
        )

    def _limits_of(self, claim: Claim) -> Limits:
        found = self._limits.get(claim.kind)
        if found is None:
            found = limits_for(claim, self._app.settings)
            if claim.kind not in actor_job.brokers:
                self._limits[claim.kind] = found
        return found

    def _cancel(self, timeout_token: TimeoutToken, stop_flag: StopFlag) -> None:
        stop_flag.set()
        self._deadlines.cancel(timeout_token)

    def _over_hard(self, delivery: Delivery, thread: threading.Thread, began: float) -> None:
        """On the watchdog's thread: end an attempt at its hard limit, and free its slot."""
        claim = delivery.claim
        attempt_result = self._attempts.over(
            claim,
            self._app.clock.monotonic() - began,
            thread=thread.ident,
            why="The attempt did not end at its time limit, nor at the hard limit after it.",
        )
        if self._fetcher.end(delivery, attempt_result):
            self._on_stuck(thread)
