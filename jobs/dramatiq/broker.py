"""LedgerBroker: dramatiq's broker over the ledger. Enqueueing a message records a run.

Making a broker and declaring actors loads no database code: the first message does.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dramatiq import Actor
from dramatiq.broker import Consumer
from dramatiq.common import dq_name, q_name
from dramatiq.errors import ConnectionFailed, QueueNotFound
from dramatiq.message import Message
from dramatiq.middleware import Middleware

from jobs import boot
from jobs.dramatiq.queue_operations import QueueOperations
from jobs.dramatiq.queue_view import QueueView
from jobs.errors import ConfigurationError, ServiceDown
from jobs.messages import actor_job
from jobs.messages.backoff import uncapped
from jobs.messages.keys import ACTOR_OPTIONS
from jobs.messages.proxy import LedgerMessage
from jobs.messages.runs import new_run
from jobs.runtime.context import in_session
from jobs.shadow import shadow_of

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.database.transactions.joining import SessionLike
    from jobs.enqueue.write_path import Enqueued
    from jobs.ledger.records import NewRun


class LedgerBroker(QueueOperations):
    """Replaces ``RedisBroker``: delays, retries and dead letters are then in the ledger.

    >>> dramatiq.set_broker(LedgerBroker())

    Args:
        url: URL of the ledger; None uses ``JOBS_DATABASE_URL``, as every job does.
        redis_url: URL of the ready index, together with ``url``.
        middleware: as for every broker; None uses dramatiq's defaults.
        fail_fast_default: whether ``join`` raises the error of a message that this process performed.

    The worker itself enforces ``TimeLimit``, and the ledger counts for ``GroupCallbacks``. Every other middleware is
    called unchanged, in dramatiq's order.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        redis_url: str | None = None,
        middleware: list[Middleware] | None = None,
        fail_fast_default: bool = False,
    ) -> None:
        self._url = url
        self._redis_url = redis_url
        self._app: App | None = None
        self._app_pid = 0
        self._app_lock = threading.RLock()  # A signal handler that sends may interrupt the thread that holds it.
        self.undeclared_actors = set()
        super().__init__(middleware, fail_fast_default=fail_fast_default)
        self.actor_options |= ACTOR_OPTIONS

    @property
    def app(self) -> App:
        """The App of this broker: the current one, or one for the broker's ``url``."""
        used = boot.in_place_of_all()
        if used is not None or self._url is None:
            return used or boot.current()
        shared = boot.existing()
        if shared is not None and shared.settings.database_url == self._url:
            return shared
        from jobs.settings import Settings

        # A child must not share its parent's connections.
        if self._app is None or self._app_pid != os.getpid():
            with self._app_lock:
                # Another thread may have made it meanwhile: a worker's consumers start together.
                if self._app is None or self._app_pid != os.getpid():
                    given = {"database_url": self._url, "redis_url": self._redis_url}
                    self._app, self._app_pid = boot.build(Settings.read(**given)), os.getpid()
                return self._app
        return self._app

    def serves(self, app: App) -> None:
        """Check that a worker over ``app`` may perform this broker's messages.

        Raises:
            ConfigurationError: the broker writes to another ledger.
        """
        if self._url is not None and app.settings.database_url != self._url:
            raise ConfigurationError(
                "A LedgerBroker of this application was given a url that is not the worker's JOBS_DATABASE_URL.",
                hint="Set JOBS_DATABASE_URL to it, or leave the url out.",
            )

    def declare_actor(self, actor: Actor[Any, Any]) -> None:
        """Declare an actor.

        Raises:
            DefinitionError: the ledger cannot hold its name, queue or priority, or a job has its name.
        """
        self.emit_before("declare_actor", actor)
        self.declare_queue(actor.queue_name)
        actor_job.register(self, actor)
        self.actors[actor.actor_name] = actor
        self.undeclared_actors.discard(actor.actor_name)
        self.emit_after("declare_actor", actor)

    def declare_queue(self, queue_name: str) -> None:
        if queue_name in self.queues:
            return
        self.emit_before("declare_queue", queue_name)
        self.queues[queue_name] = QueueView(self, queue_name)
        self.emit_after("declare_queue", queue_name)
        delayed = dq_name(queue_name)
        self.delay_queues.add(delayed)
        self.emit_after("declare_delay_queue", delayed)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Record a message as a run; a delayed one waits in the ledger, for any length of time.

        If another message holds its key, nothing is recorded, and that message is returned.

        Raises:
            QueueNotFound: the queue was never declared.
            ArgumentsRefused: the ledger cannot hold the arguments.
            EnqueueRefused: the key or the session is invalid.
            KeyConflict: a message with other arguments holds the key.
            ConnectionFailed: the ledger does not answer; nothing was enqueued.
        """
        if q_name(message.queue_name) not in self.queues:
            raise QueueNotFound(message.queue_name)  # type: ignore[no-untyped-call]
        if "session" in message.options:
            return self._enqueue_in_session(message, delay)
        attempt_result: LedgerMessage | None = getattr(self._processing, "message", None)
        if attempt_result is None:
            return self._enqueue(message, delay, None)
        self._processing.refused = None
        try:
            return self._enqueue(message, delay, attempt_result)
        except Exception as error:
            self._processing.refused = error
            raise

    def _enqueue_in_session(self, message: Message[Any], delay: int | None) -> Message[Any]:
        """``send_with_options(session=…)``; the session is no part of the message."""
        options = dict(message.options)
        session = options.pop("session")
        message = dataclasses.replace(message, options=options)
        if session is None:
            return self.enqueue(message, delay=delay)
        with self.transaction(session):
            return self._enqueue(message, delay, None)

    def transaction(self, session: SessionLike) -> AbstractContextManager[None]:
        """Record the messages that are sent inside the block in the transaction of ``session``: if it commits.

        >>> with broker.transaction(session):
        ...     deliver.send("ann@example.com")
        ...     group([deliver.message(one) for one in others]).run()

        ``send_with_options(session=session)`` does so for one message. Both take what ``session=`` of a job takes.
        """
        return in_session(session)

    def _enqueue(self, message: Message[Any], delay: int | None, attempt_result: LedgerMessage | None) -> Message[Any]:
        if isinstance(attempt_result, LedgerMessage) and id(message) == id(attempt_result):
            return self._retry(attempt_result, delay)
        if delay is not None:
            eta = int(self.app.clock.now().timestamp() * 1000) + delay
            message = message.copy(queue_name=dq_name(q_name(message.queue_name)), options={"eta": eta})
        self.emit_before("enqueue", message, delay)
        has_failed = attempt_result is not None and attempt_result.error is not None
        run = new_run(self.app, self, message, is_keyed=attempt_result is None, reports_failure=has_failed)
        if message.actor_name not in self.actors:
            self.undeclared_actors.add(message.actor_name)
        if attempt_result is not None:
            attempt_result.then.append(run)
        else:
            done = self._record(run)
            if not done.created:
                return self._holder(done.id, message)
        self.emit_after("enqueue", message, delay)
        if run.run_at is not None and run.run_at > self.app.clock.now():
            self.emit_before("delay_message", message)
        return message

    def record(self, message: Message[Any]) -> None:
        """Record a message unchanged, without calling hooks.

        Raises:
            ArgumentsRefused: the ledger cannot hold the arguments.
            ConnectionFailed: the ledger does not answer; nothing was enqueued.
        """
        self._record(new_run(self.app, self, message))

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        """For a plain dramatiq worker: a consumer that claims runs of the queue.

        Raises:
            QueueNotFound: the queue was never declared.
            ConnectionFailed: a ``worker`` package of the application hides ours.
        """
        if (said := shadow_of("worker")) is not None:
            raise ConnectionFailed(said)  # type: ignore[no-untyped-call]
        from worker.dramatiq.plain_worker import PlainWorker

        if q_name(queue_name) not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        app = self.app  # Before taking the lock, which this call may take itself.
        with self._app_lock:
            plain_worker, before = self._plain_worker, None
            if plain_worker is None or plain_worker.app is not app:
                before, plain_worker = plain_worker, PlainWorker(self, app)
                self._plain_worker = plain_worker
                app.before_close.append(partial(self._end, plain_worker))
        if before is not None:
            self._end(before)
        consumer: Consumer = plain_worker.consumer(queue_name, prefetch, timeout / 1000)
        return consumer

    def close(self) -> None:
        with self._app_lock:
            plain_worker, self._plain_worker = self._plain_worker, None
            app, self._app = self._app, None
        if plain_worker is not None:
            plain_worker.stop()
        if app is not None:
            app.close()

    def _end(self, plain_worker: Any) -> None:
        """Stop the threads that use an App that is closed or no longer ours. A second call does nothing."""
        with self._app_lock:
            if self._plain_worker is plain_worker:
                self._plain_worker = None
        plain_worker.stop()

    def _retry(self, message: LedgerMessage, delay: int | None) -> Message[Any]:
        """A hook enqueues the message that it was called for: this is a retry of its run."""
        message.retry_seconds = max(0, uncapped(self, message, delay or 0)) / 1000
        copy = message._message.copy(queue_name=dq_name(message.queue_name))
        self.emit_before("enqueue", copy, delay)
        self.emit_after("enqueue", copy, delay)
        return copy

    def _holder(self, run_id: UUID, message: Message[Any]) -> Message[Any]:
        """``message`` with the id of the message that holds its key, under which the result is stored."""
        from jobs.ledger.runs import messages

        with self.app.database.read() as connection:
            stored = messages.message_id(connection, run_id)
        return message._replace(message_id=stored or str(run_id))

    def _record(self, run: NewRun) -> Enqueued:
        from jobs.enqueue.write_path import enqueue_runs

        try:
            return enqueue_runs(self.app, [run])[0]
        except ServiceDown as error:
            raise ConnectionFailed(str(error)) from error  # type: ignore[no-untyped-call]
