"""LedgerMessage: a message while it is processed, with the result so far."""

from __future__ import annotations

from typing import Any

from dramatiq.broker import MessageProxy

from jobs.ledger.records import Claim, Completion, NewRun
from jobs.messages.encoding import read_message


class LedgerMessage(MessageProxy):
    """A claimed run in the form that dramatiq's middleware expects.

    ``then`` holds the messages that its hooks enqueued after it was processed: callbacks, the next of a pipeline. The
    transaction that ends the attempt records them, or nothing does; the same holds for the groups in ``completes``.
    """

    def __init__(self, claim: Claim) -> None:
        message, self.retries = read_message(
            claim.arguments,
            queue=claim.queue,
            actor=claim.kind,
            run_id=claim.run_id,
            made_at=claim.created_at,
            is_fresh=claim.charged == 0,
        )
        super().__init__(message)
        self.claim = claim
        self.then: list[NewRun] = []
        self.completes: list[Completion] = []
        self.refused: Exception | None = None
        """Why its follow-up messages or its group cannot be recorded: the message has not succeeded then."""
        self.retry_seconds: float | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_processed = False
        self.is_skipped = False
        self.started_monotonic: float | None = None

    __hash__ = object.__hash__

    def stuff_exception(self, exception: BaseException) -> None:
        super().stuff_exception(exception)
        self.error = exception

    def clear_exception(self) -> None:
        super().clear_exception()
        self.error = None

    def remember_exception(self, error: BaseException | None) -> None:
        """Store the message's error for readers in this process, without the frames that the original refers to."""
        if error is not None:
            self._exception = type(error).__new__(type(error), *error.args)
            self._exception.__dict__.update(error.__dict__)
