"""The seam to dramatiq: fetch hands over what the intake has claimed, ack hands endings to the settler.

Nothing here can fail, and nothing waits long: dramatiq answers an error in ``ack`` by sleeping 5 s and
trying for ever, throws a consumer away with what it buffers on any error, and looks whether it must stop
only between two messages.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dramatiq.broker import Consumer, MessageProxy

from jobs.dramatiq import Delivery
from worker.intake import Intake

log = logging.getLogger("jobs.worker")

LONGEST_WAIT = 0.2
"""Seconds that a fetch waits. Source: dramatiq's ``stop`` and ``pause`` wait for it."""


class LedgerConsumer(Consumer):
    """dramatiq makes one for each queue; all of them serve the one intake of the process."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def __next__(self) -> MessageProxy | None:
        return self._intake.hand_over(LONGEST_WAIT)

    def ack(self, message: MessageProxy) -> None:
        if isinstance(message, Delivery):
            self._intake.take_back(message)

    def nack(self, message: MessageProxy) -> None:
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        # At shutdown: handed over, never started.
        for message in messages:
            self.ack(message)
