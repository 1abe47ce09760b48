"""Verdict: where a processed message sends its run. dramatiq's middleware has decided; this only reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dramatiq.errors import ActorNotFound
from dramatiq.middleware import TimeLimitExceeded

from jobs.dramatiq.proxy import LedgerMessage
from jobs.dramatiq.stored import write_retried
from jobs.errors import ServiceDown
from jobs.ledger.records import Completion, NewRun
from jobs.states import Cause, Outcome

AGE_LIMIT = "Message age limit exceeded"
"""What dramatiq's AgeLimit says when it skips a message."""


AGAIN_SECONDS = 15.0
"""Until the next try, when the ledger did not say whether it counts a group. Source: the first wait of a job."""


@dataclass(slots=True)
class Verdict:
    """How an attempt ended, before it is settled. ``arguments``: what the next attempt is to read instead."""

    outcome: Outcome
    cause: Cause | None = None
    delay_seconds: float = 0.0
    value: Any = None
    error: BaseException | None = None
    then: tuple[NewRun, ...] = ()
    completes: tuple[Completion, ...] = ()
    arguments: str | None = None


class Ended(Exception):
    """Raised by an actor's run when it has been processed: the worker settles it as the verdict says."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.outcome.value)
        self.verdict = verdict


def verdict_of(message: LedgerMessage, *, max_bytes: int) -> Verdict:
    """What became of ``message``: retried, dead-lettered, skipped, or done."""
    error = message.error
    then = tuple(message.then)
    failed = Outcome.TIMED_OUT if isinstance(error, TimeLimitExceeded) else Outcome.FAILED
    if message.failed:
        if message.is_skipped or error is None:
            is_old = error is not None and str(error) == AGE_LIMIT
            return Verdict(Outcome.GAVE_UP, Cause.EXPIRED if is_old else Cause.GAVE_UP, error=error, then=then)
        if isinstance(error, ActorNotFound):
            return Verdict(Outcome.GAVE_UP, Cause.UNKNOWN_KIND, error=error, then=then)
        is_spent = "traceback" in message.options
        return Verdict(failed, Cause.EXHAUSTED if is_spent else Cause.GAVE_UP, error=error, then=then)
    if message.retry_seconds is not None:
        arguments = write_retried(message._message, max_bytes=max_bytes, retries=message.retries)
        return Verdict(failed, None, message.retry_seconds, error=error, arguments=arguments, then=then)
    if message.is_skipped:
        return Verdict(Outcome.CANCELLED, error=error, then=then)
    if error is not None:
        return Verdict(failed, Cause.GAVE_UP, error=error, then=then)
    if not message.is_processed:
        return Verdict(Outcome.RELEASED)
    if message.refused is not None:
        return _refused(message.refused)
    return Verdict(Outcome.SUCCEEDED, value=message.result, then=then, completes=tuple(message.completes))


def _refused(error: Exception) -> Verdict:
    """Of a message that was processed, and whose next one or group cannot be recorded: it has failed, on record."""
    if isinstance(error, ServiceDown):
        return Verdict(Outcome.FAILED, None, AGAIN_SECONDS, error=error)
    return Verdict(Outcome.FAILED, Cause.BAD_ARGUMENTS, error=error)
