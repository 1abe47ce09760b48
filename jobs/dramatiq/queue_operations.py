"""QueueOperations: a LedgerBroker counts, flushes and joins queues, and remembers the dead letters of its process."""

from __future__ import annotations

from collections import defaultdict

from dramatiq.broker import MessageProxy
from dramatiq.common import q_name
from dramatiq.errors import QueueNotFound
from dramatiq.middleware import Middleware

from jobs import boot
from jobs.dramatiq.hooks import HookCalls
from jobs.dramatiq.joining import wait_for_queue
from jobs.messages.proxy import LedgerMessage
from jobs.under_test import refuse_ledger_of_environment

JOIN_INTERVAL = 20
MAX_REMEMBERED = 1000


class QueueOperations(HookCalls):
    """The part of LedgerBroker that reads and empties queues."""

    def __init__(self, middleware: list[Middleware] | None, *, fail_fast_default: bool) -> None:
        self.fail_fast_default = fail_fast_default
        self.dead_letters_by_queue: defaultdict[str, list[MessageProxy]] = defaultdict(list)
        super().__init__(middleware)

    def flush(self, queue_name: str) -> None:
        """Cancel every message that waits in the queue. Messages that are being performed go on.

        Raises:
            ConfigurationError: a test asks for it, and the environment names this ledger.
            QueueNotFound: the queue was never declared.
        """
        if q_name(queue_name) not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        if boot.in_place_of_all() is None:
            refuse_ledger_of_environment(self.app.settings.database_url)
        from jobs.ledger.runs import messages

        with self.app.database.write() as connection:
            messages.cancel_waiting(connection, q_name(queue_name))

    def flush_all(self) -> None:
        """Cancel every message that waits in a declared queue. Dead letters stay in the ledger."""
        for queue_name in self.get_declared_queues():
            self.flush(queue_name)
        for dead in self.dead_letters_by_queue.values():
            dead.clear()

    def join(
        self,
        queue_name: str,
        *,
        timeout: int | None = None,
        fail_fast: bool | None = None,
        interval: int = JOIN_INTERVAL,
    ) -> None:
        """Wait until the queue is empty and idle, retries and delayed messages included; for tests.

        Args:
            timeout: milliseconds; None waits without limit.
            interval: milliseconds between two looks.
            fail_fast: raise the error of a message that died in a dramatiq worker of this process.

        Raises:
            QueueNotFound: the queue was never declared.
            QueueJoinTimeout: messages were left after ``timeout``.
        """
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        wait_for_queue(self.app, queue_name, timeout=timeout, interval=interval)
        if self.fail_fast_default if fail_fast is None else fail_fast:
            for message in self.dead_letters_by_queue[queue_name]:
                raise (message._exception or Exception("Message failed with unknown error")) from None

    @property
    def dead_letters(self) -> list[MessageProxy]:
        """Messages that a dramatiq worker of this process has dead-lettered, the last thousand of each queue.

        The ledger has all of them: ``jobs dlq list``.
        """
        return [message for many in self.dead_letters_by_queue.values() for message in many]

    def get_queue_message_counts(self, queue_name: str) -> tuple[int, int, int]:
        """Numbers of ready messages, of delayed messages and of dead letters in the queue."""
        from jobs.ledger.runs import messages

        with self.app.database.read() as connection:
            return messages.counts(connection, q_name(queue_name))

    def dead_lettered(self, message: LedgerMessage, error: BaseException | None) -> None:
        """Remember a message that a worker of this process has dead-lettered."""
        message.remember_exception(error)
        dead = self.dead_letters_by_queue[message.queue_name]
        dead.append(message)
        del dead[:-MAX_REMEMBERED]
