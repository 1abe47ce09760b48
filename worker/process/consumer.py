"""The consumer of dramatiq's queue threads: it returns no messages, and takes back what it is given.

A thread that performs asks the fetcher itself (``pool``): a hop from thread to thread costs as much as a short
job, and dramatiq throws a consumer away with what it buffers on any error. What a consumer does here cannot fail
and does not wait long: dramatiq answers an error in ``ack`` by sleeping 5 s and trying for ever, and looks whether
it must stop only between two messages.
"""

from __future__ import annotations

from collections.abc import Iterable

from dramatiq.broker import Consumer, MessageProxy

from worker.exchange.delivery import Delivery
from worker.exchange.fetcher import Fetcher

LONGEST_WAIT = 5.0
"""Seconds that a fetch waits, unless the process stops. Source: decision; an idle process should sleep."""


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
        # At shutdown: handed over, never started.
        for message in messages:
            self.ack(message)
