"""The seam to dramatiq's threads of the queues: they hand nothing over, and take back what they are given.

A thread that performs asks the intake itself (``pool``): a hop from thread to thread costs as much as a short
job, and dramatiq throws a consumer away with what it buffers on any error. What a consumer does here cannot fail
and does not wait long: dramatiq answers an error in ``ack`` by sleeping 5 s and trying for ever, and looks whether
it must stop only between two messages.
"""

from __future__ import annotations

from collections.abc import Iterable

from dramatiq.broker import Consumer, MessageProxy

from worker.delivery import Delivery
from worker.intake import Intake

LONGEST_WAIT = 5.0
"""Seconds that a fetch waits, unless the process stops. Source: decision; an idle process should sleep."""


class LedgerConsumer(Consumer):
    """dramatiq makes one for each queue; all of them serve the one intake of the process."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def __next__(self) -> MessageProxy | None:
        self._intake.wait_for_end(LONGEST_WAIT)
        return None

    def ack(self, message: MessageProxy) -> None:
        if isinstance(message, Delivery):
            self._intake.take_back(message)

    def nack(self, message: MessageProxy) -> None:
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        # At shutdown: handed over, never started.
        for message in messages:
            self.ack(message)
