"""ThreadBroker: the broker of dramatiq's threads in a worker process; it hands runs over and takes results."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.broker import Broker, Consumer
from dramatiq.errors import QueueNotFound

from jobs.app import App
from worker.process.consumer import LedgerConsumer


class ThreadBroker(Broker):
    """Hands claimed runs to dramatiq's worker, and takes the results back."""

    def __init__(self, app: App, *, middleware: list[dramatiq.Middleware] | None = None) -> None:
        given = middleware if middleware is not None else []
        super().__init__(middleware=given)
        # Only what was given: integrations that patch Broker.__init__ (Sentry's) add middleware for the
        # application's brokers.
        self.middleware = [one for one in self.middleware if one in given]
        self.app = app
        self.fetcher: Any = None

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        """A consumer over this process's fetcher.

        Raises:
            QueueNotFound: the queue was never declared.
        """
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        return LedgerConsumer(self.fetcher)
