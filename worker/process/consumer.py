"""The consumer of dramatiq's queue threads: it returns no messages, and passes finished deliveries to the fetcher.

A thread that performs takes its next run from the fetcher directly (``pool``): a hop between threads costs as much
as a short job, and on any error dramatiq drops a consumer with its buffer. The methods here never raise and never
wait long: after an error in ``ack`` dramatiq sleeps 5 s and tries again for ever, and it checks whether it must stop
only between two messages.
"""

from __future__ import annotations

from collections.abc import Iterable

from dramatiq.broker import Consumer, MessageProxy

from worker.exchange.delivery import Delivery
from worker.exchange.fetcher import Fetcher

LONGEST_WAIT = 5.0
"""Seconds that a call waits, unless the process stops. Source: decision; an idle process should sleep."""


class LedgerConsumer(Consumer):
    """dramatiq makes one for each queue; all of them serve the one fetcher of the process."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def __next__(self) -> MessageProxy | None:
        self._fetcher.wait_for_end(LONGEST_WAIT)
        return None

    def ack(self, message: MessageProxy) -> None:
        if isinstance(message, Delivery):
            self._fetcher.take_back(message)

    def nack(self, message: MessageProxy) -> None:
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        # At shutdown, for deliveries that were handed over but never started.
        for message in messages:
            self.ack(message)
