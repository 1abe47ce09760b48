"""Serves a plain dramatiq worker: claims runs for its threads, and adds a settler, a heartbeat and upkeep."""

from __future__ import annotations

import os
import platform
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import Any
from uuid import UUID

from dramatiq.broker import Consumer, MessageProxy
from dramatiq.common import q_name
from dramatiq.worker import WorkerThread

from jobs.app import App
from jobs.clock import new_run_id
from jobs.errors import JobsError
from jobs.events import ServiceFailed
from jobs.interpreter import refuse_free_threading
from jobs.ledger import workers
from jobs.ledger.records import Claim
from jobs.ledger.releases import record_release
from jobs.messages.actor_job import TimeOver, limit_of
from jobs.messages.message_outcome import message_outcome_of
from jobs.messages.perform import process
from jobs.messages.proxy import LedgerMessage
from jobs.messages.served_broker import ServedBroker
from jobs.runtime.run import Run
from jobs.runtime.run_hooks import run_hooks
from jobs.states import Cause, Outcome
from jobs.upkeep.loop import Upkeep
from worker.attempt.outcome import attempt_result_now, attempt_result_of, broken, set_aside
from worker.dramatiq.wakeups import Wakeups
from worker.exchange.delivery import Delivery
from worker.exchange.heartbeat import Heartbeat
from worker.exchange.held_leases import HeldLeases
from worker.exchange.prefetch import PrefetchLimit
from worker.exchange.ready_source import ReadySource
from worker.exchange.settler import Settler
from worker.exchange.source import LedgerSource, Source
from worker.protocol.process_identity import identity_of
from worker.protocol.running_table import RunningRows, RunningTable
from worker.timeouts.deadline import Deadlines, TimeoutToken

LONGEST_WAIT = 0.2
STOP_SECONDS = 10.0


class ClaimedMessage(LedgerMessage):
    """A claimed run as a message of a plain dramatiq worker."""

    def __init__(self, claim: Claim, now: float, taker: PlainConsumer) -> None:
        super().__init__(claim)
        self.taker = taker
        self.delivery: Delivery | None = Delivery(claim, now)
        """Kept until the ack only: the error's frames refer to the message, and the message to the error."""


class PlainWorker:
    """What the consumers of one process share; made with the first consumer."""

    def __init__(self, broker: ServedBroker, app: App) -> None:
        self.broker = broker
        self.app = app
        self.name = f"dramatiq-{platform.node()}-{os.getpid()}-{str(new_run_id())[-8:]}"
        self.held_leases = HeldLeases()
        self._table = RunningTable(1)
        self.settler = Settler(
            app, self.held_leases, PrefetchLimit(1, app.clock), RunningRows(self._table.fd, 0), worker=self.name
        )
        self._performing: dict[UUID, tuple[Claim, TimeoutToken]] = {}  # By token.
        self._deadlines = Deadlines()
        self._wakeups = Wakeups(app)
        self._upkeep = Upkeep(app)
        self._heartbeat = Heartbeat(
            app, self.held_leases, worker=self.name, performing=self._claims, cancel=self._cancel, lose=self._cancel
        )
        self._lock = threading.Lock()
        self._is_started = False

    def consumer(self, queue_name: str, prefetch: int, timeout: float) -> Consumer:
        """A consumer of one queue. dramatiq also wants consumers of delay queues, which the ledger does not use."""
        self._start()
        if queue_name != q_name(queue_name):
            return NoConsumer(self.app, min(timeout, 1.0))
        return PlainConsumer(self, queue_name, prefetch, min(timeout, LONGEST_WAIT))

    def source(self, queue_name: str, kinds: Callable[[], tuple[str, ...]]) -> Source:
        """The source of claims for one queue."""
        ledger = LedgerSource(
            self.app, queues=[queue_name], kinds=kinds(), worker=self.name, wakeup=self._wakeups.make()
        )
        if self.app.ready is None:
            return ledger
        return ReadySource(
            self.app, self.app.ready, ledger, kinds=kinds(), worker=self.name, on_loss=self._upkeep.check_index_now
        )

    def stop(self) -> None:
        """Settle the results so far, and sign off."""
        with self._lock:
            was_started, self._is_started = self._is_started, False
        if not was_started:
            return
        self.settler.stop(STOP_SECONDS)
        self._upkeep.stop()
        self._heartbeat.stop()
        self._deadlines.stop()
        with self.app.database.write(urgent=True) as connection:
            workers.sign_off(connection, self.name)

    def _start(self) -> None:
        refuse_free_threading()
        with self._lock:
            if self._is_started:
                return
            with self.app.database.write(urgent=True) as connection:
                workers.register(
                    connection,
                    self.name,
                    host=platform.node(),
                    pid=os.getpid(),
                    version="dramatiq",
                    queues=sorted(self.broker.queues),
                    kinds=sorted(self.broker.actors),
                    threads=1,
                    chaos=self.app.settings.chaos,
                    process=identity_of(),
                )
                record_release(connection, self.name, release=self.app.settings.release, kinds={})
            for thread in (self.settler, self._heartbeat, self._upkeep):
                thread.start()
            self._is_started = True

    def _claims(self) -> list[Claim]:
        return [claim for claim, _ in list(self._performing.values())]

    def _cancel(self, token: UUID) -> None:
        performed = self._performing.get(token)
        if performed is not None:
            self._deadlines.cancel(performed[1])

    def process(self, thread: WorkerThread, message: ClaimedMessage) -> None:
        """Process a message on dramatiq's thread, in place of dramatiq's own code."""
        message.started_monotonic = self.app.clock.monotonic()
        try:
            # In a copy of the thread's context, hooks included, so that the next job does not see what this one sets.
            copy_context().run(self._process, message)
        except BaseException as error:
            message.taker.end(message, error)
        finally:
            consumer = thread.consumers[message.queue_name]
            consumer.post_process_message(message)
            # dramatiq only logs an error of an acknowledgement, and then the lease would be renewed for ever.
            message.taker.end(message, message.error or RuntimeError("The message was processed but not acknowledged."))
            thread.work_queue.task_done()
            if not message.failed:
                # A failed message holds a copy without frames.
                message.clear_exception()

    def _process(self, message: ClaimedMessage) -> None:
        with run_hooks.around(Run(self.app, message.claim, worker=self.name)):
            process(self.broker, message, partial(self._within_limit, message))

    def _within_limit(self, message: ClaimedMessage, fn: Callable[[], Any]) -> Any:
        claim = message.claim
        timeout_token = TimeoutToken()
        self._performing[claim.token] = claim, timeout_token
        timeout_token.limit_error = TimeOver
        try:
            return self._deadlines.perform(fn, timeout_token=timeout_token, soft_seconds=limit_of(claim))
        finally:
            del self._performing[claim.token]


class PlainConsumer(Consumer):
    """Claims runs of one queue, with at most ``prefetch`` unfinished. An ``ack`` never raises."""

    def __init__(self, plain_worker: PlainWorker, queue_name: str, prefetch: int, wait_seconds: float) -> None:
        self._plain_worker = plain_worker
        self._queue = queue_name
        self._prefetch = prefetch
        self._wait = wait_seconds
        self._out: dict[ClaimedMessage, None] = {}
        self._buffer: deque[ClaimedMessage] = deque()
        self._kinds: tuple[str, ...] = ()
        self._source: Source | None = None

    def __next__(self) -> MessageProxy | None:
        if not self._buffer:
            self._fetch()
        return self._buffer.popleft() if self._buffer else None

    def ack(self, message: MessageProxy) -> None:
        if not isinstance(message, ClaimedMessage) or (delivery := message.delivery) is None:
            return
        self._out.pop(message, None)
        plain_worker, message.delivery = self._plain_worker, None
        if message.started_monotonic is None and not message.failed:
            plain_worker.settler.give_back(delivery)
            return
        started = message.started_monotonic or plain_worker.app.clock.monotonic()
        try:
            message_outcome = message_outcome_of(message, max_bytes=plain_worker.app.settings.max_argument_bytes)
            delivery.attempt_result = attempt_result_of(plain_worker.app, message.claim, started, message_outcome)
        except BaseException as error:
            delivery.attempt_result = broken(plain_worker.app, message.claim, started, error)
        plain_worker.settler.put(delivery)

    def end(self, message: ClaimedMessage, error: BaseException) -> None:
        """End a message that has not ended, with the error that prevented it."""
        self._out.pop(message, None)
        delivery, message.delivery = message.delivery, None
        if delivery is not None:
            started = message.started_monotonic or delivery.claimed_monotonic
            delivery.attempt_result = broken(self._plain_worker.app, message.claim, started, error)
            self._plain_worker.settler.put(delivery)

    def nack(self, message: MessageProxy) -> None:
        self.ack(message)
        if isinstance(message, ClaimedMessage):
            error = message.error
            message.clear_exception()
            self._plain_worker.broker.dead_lettered(message, error)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        for message in messages:
            if isinstance(message, ClaimedMessage) and message.delivery is not None:
                self._out.pop(message, None)
                self._plain_worker.settler.give_back(message.delivery)
                message.delivery = None

    def close(self) -> None:
        self.requeue(list(self._buffer))
        self._buffer.clear()
        if self._source is not None:
            self._source.close()
            self._source = None

    def _fetch(self) -> None:
        app = self._plain_worker.app
        missing = self._prefetch - len(self._out)
        if missing <= 0:
            app.clock.sleep(min(self._wait, 0.005))
            return
        kinds = self._known()
        if self._source is None or kinds != self._kinds:
            self.close()
            self._kinds, self._source = kinds, self._plain_worker.source(self._queue, lambda: kinds)
        try:
            claims = self._source.claim(missing, wait_seconds=self._wait)
        except JobsError as error:
            app.events.emit([ServiceFailed("ledger", "claim", str(error))])
            app.clock.sleep(self._wait)
            return
        self._plain_worker.held_leases.add(claims)
        now = app.clock.monotonic()
        for claim in claims:
            message = self._message(claim, now)
            if message is not None:
                self._out[message] = None
                self._buffer.append(message)

    def _message(self, claim: Claim, now: float) -> ClaimedMessage | None:
        """A claim's message for dramatiq; None if the row or the message cannot be read: then the attempt is ended."""
        app, delivery = self._plain_worker.app, Delivery(claim, now)
        if claim.problem is not None:
            delivery.attempt_result = set_aside(app, claim)
        else:
            try:
                return ClaimedMessage(claim, now, self)
            except Exception as error:
                cause = Cause.BAD_ARGUMENTS
                delivery.attempt_result = attempt_result_now(app, claim, now, Outcome.GAVE_UP, cause=cause, error=error)
        self._plain_worker.settler.put(delivery)
        return None

    def _known(self) -> tuple[str, ...]:
        broker = self._plain_worker.broker
        return tuple(sorted({*broker.actors, *broker.undeclared_actors}))


class NoConsumer(Consumer):
    """The consumer of a delay queue, which is always empty: delayed runs wait in the ledger."""

    def __init__(self, app: App, wait_seconds: float) -> None:
        self._app = app
        self._wait = wait_seconds

    def __next__(self) -> None:
        self._app.clock.sleep(min(self._wait, LONGEST_WAIT))
