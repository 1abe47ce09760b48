"""LedgerMessage: a message that is being processed, and what its processing has come to so far."""

from __future__ import annotations

from typing import Any

from dramatiq.broker import MessageProxy

from jobs.dramatiq.stored import read_message
from jobs.ledger.records import Claim, NewRun


class LedgerMessage(MessageProxy):
    """What dramatiq's middleware sees of a claimed run.

    ``then`` are the messages that its hooks enqueued when it had been processed: callbacks, the next of a
    pipeline. They are recorded in the transaction that ends the attempt, or not at all.
    """

    def __init__(self, claim: Claim) -> None:
        message = read_message(claim.arguments, queue=claim.queue, actor=claim.kind)
        super().__init__(message)
        self.claim = claim
        self.then: list[NewRun] = []
        self.retry_seconds: float | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_processed = False
        self.is_skipped = False
        self.started_monotonic: float | None = None
        if claim.charged:
            # Crashes count as retries here: the ledger charges them.
            message.options["retries"] = max(claim.charged, message.options.get("retries") or 0)

    __hash__ = object.__hash__

    def stuff_exception(self, exception: BaseException) -> None:
        super().stuff_exception(exception)
        self.error = exception
