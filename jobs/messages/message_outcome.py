"""The outcome of a processed message: reads what dramatiq's middleware decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dramatiq.errors import ActorNotFound
from dramatiq.middleware import TimeLimitExceeded

from jobs.errors import ServiceDown
from jobs.ledger.records import Completion, NewRun
from jobs.messages.encoding import write_retried
from jobs.messages.proxy import LedgerMessage
from jobs.runtime.run_hooks import Processed
from jobs.states import Cause, Outcome

AGE_LIMIT = "Message age limit exceeded"
"""The text of dramatiq's AgeLimit when it skips a message."""


AGAIN_SECONDS = 15.0
"""Wait before the next attempt if it is unknown whether the ledger counts a group. Source: first wait of a job."""


@dataclass(slots=True)
class MessageOutcome:
    """How an attempt ended, before it is settled. ``arguments`` replaces the arguments for the next attempt."""

    outcome: Outcome
    cause: Cause | None = None
    delay_seconds: float = 0.0
    value: Any = None
    error: BaseException | None = None
    then: tuple[NewRun, ...] = ()
    completes: tuple[Completion, ...] = ()
    arguments: str | None = None


class Ended(Processed):
    """Raised when an actor's run has been processed: the worker settles it with this outcome."""

    def __init__(self, message_outcome: MessageOutcome) -> None:
        super().__init__(message_outcome.outcome.value)
        self.message_outcome = message_outcome

    @property
    def error(self) -> BaseException | None:
        """What the actor raised, if anything."""
        return self.message_outcome.error


def message_outcome_of(message: LedgerMessage, *, max_bytes: int) -> MessageOutcome:
    """The outcome of ``message``: retried, dead-lettered, skipped, or done."""
    error = message.error
    then = tuple(message.then)
    failed = Outcome.TIMED_OUT if isinstance(error, TimeLimitExceeded) else Outcome.FAILED
    if message.failed:
        if message.is_skipped or error is None:
            is_old = error is not None and str(error) == AGE_LIMIT
            return MessageOutcome(Outcome.GAVE_UP, Cause.EXPIRED if is_old else Cause.GAVE_UP, error=error, then=then)
        if isinstance(error, ActorNotFound):
            return MessageOutcome(Outcome.GAVE_UP, Cause.UNKNOWN_KIND, error=error, then=then)
        is_spent = "traceback" in message.options
        return MessageOutcome(failed, Cause.EXHAUSTED if is_spent else Cause.GAVE_UP, error=error, then=then)
    if message.retry_seconds is not None:
        arguments = write_retried(message._message, max_bytes=max_bytes, retries=message.retries)
        return MessageOutcome(failed, None, message.retry_seconds, error=error, arguments=arguments, then=then)
    if message.is_skipped:
        return MessageOutcome(Outcome.CANCELLED, error=error, then=then)
    if error is not None:
        return MessageOutcome(failed, Cause.GAVE_UP, error=error, then=then)
    if not message.is_processed:
        return MessageOutcome(Outcome.RELEASED)
    if message.refused is not None:
        return _refused(message.refused)
    return MessageOutcome(Outcome.SUCCEEDED, value=message.result, then=then, completes=tuple(message.completes))


def _refused(error: Exception) -> MessageOutcome:
    """The outcome when the message was processed but its next message or group cannot be recorded: failed."""
    if isinstance(error, ServiceDown):
        return MessageOutcome(Outcome.FAILED, None, AGAIN_SECONDS, error=error)
    return MessageOutcome(Outcome.FAILED, Cause.BAD_ARGUMENTS, error=error)
