"""Retry decision: whether the error that ended an attempt leads to another attempt, and when."""

from __future__ import annotations

import logging
from datetime import timedelta

from jobs.app import App
from jobs.definition.arguments import read_arguments
from jobs.definition.retry import Retry
from jobs.errors import (
    ArgumentsRefused,
    Cancel,
    Cancelled,
    ChildDead,
    GiveUp,
    RetryAfter,
    Snooze,
    TimeLimitExceeded,
    UnknownEffect,
)
from jobs.ledger.blobs.blob_errors import StoredAltered, StoredMissing, StoreDown
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.runs.sweep import crash_delay
from jobs.messages.encoding import read_message
from jobs.messages.message_outcome import Ended
from jobs.runtime.suspended import Suspended
from jobs.sealing.seal_errors import SealBroken, SealKeyMissing, SubjectForgotten
from jobs.states import Cause, Outcome
from worker.attempt.outcome import attempt_result_now, attempt_result_of
from worker.attempt.prepare import NotPrepared

ELSEWHERE_WAIT = timedelta(seconds=5)
"""The wait before a run is tried again that another release may be able to read. Source: as for a later version."""

KEY_WAIT = timedelta(seconds=30)
"""The wait before a run is tried again whose key this process does not have. Source: decision; an operator adds it."""

STORE_WAIT = timedelta(seconds=30)
"""The wait before a run is tried again whose store is down. Source: as for a key."""

log = logging.getLogger("jobs.worker")


class ReadElsewhere(Exception):
    """A run's arguments do not fit this release of its job, but a live worker has another. The run waits, uncharged."""

    def __init__(self, refused: ArgumentsRefused) -> None:
        super().__init__(
            f"{refused.message} A live worker has another release of the code, which may be able to read them."
        )


def decide_retry(app: App, claim: Claim, retry: Retry, started: float, error: BaseException) -> AttemptResult:
    """Decide by the type of ``error``: first those by which a job steers its run, then those that we raise, then the
    job's retry policy. ``started`` is the attempt's start by the monotonic clock."""
    kind = claim.kind
    # dramatiq's middleware has decided, also for an actor that was interrupted.
    asked = error if isinstance(error, Ended) else error.__cause__
    if isinstance(asked, Ended):
        return attempt_result_of(app, claim, started, asked.message_outcome)
    if isinstance(error, ArgumentsRefused) and error.__traceback__ is not None and _is_reading(error):
        return attempt_result_now(app, claim, started, Outcome.FAILED, cause=Cause.BAD_ARGUMENTS, error=error)
    if isinstance(error, SealKeyMissing):
        log.warning(
            "Sealed run given back, because its key is not here",
            extra={"kind": kind, "run_id": str(claim.run_id), "key_id": error.key_id},
        )
        return attempt_result_now(app, claim, started, Outcome.SNOOZED, delay=KEY_WAIT, error=error)
    if isinstance(error, SealBroken):
        return attempt_result_now(app, claim, started, Outcome.FAILED, cause=Cause.BAD_ARGUMENTS, error=error)
    if isinstance(error, StoreDown):
        log.warning(
            "Run given back, because the store of its values is down",
            extra={"kind": kind, "run_id": str(claim.run_id), "reason": error.message},
        )
        return attempt_result_now(app, claim, started, Outcome.SNOOZED, delay=STORE_WAIT, error=error)
    if isinstance(error, StoredMissing | StoredAltered):
        return attempt_result_now(app, claim, started, Outcome.FAILED, cause=Cause.BAD_ARGUMENTS, error=error)
    if isinstance(error, SubjectForgotten):
        return attempt_result_now(app, claim, started, Outcome.GAVE_UP, cause=Cause.GAVE_UP, error=error)
    if isinstance(error, ReadElsewhere):
        return attempt_result_now(app, claim, started, Outcome.SNOOZED, delay=ELSEWHERE_WAIT, error=error)
    if isinstance(error, NotPrepared):
        return attempt_result_now(app, claim, started, Outcome.SNOOZED, delay=error.delay, error=error)
    if isinstance(error, Suspended):
        result = attempt_result_now(app, claim, started, Outcome.SUSPENDED)
        result.held_on, result.held_until, result.awaits = error.held_on, error.until, error.batch_id
        return result
    if isinstance(error, Snooze):
        if error.give_up_after is not None and claim.age >= error.give_up_after:
            return attempt_result_now(app, claim, started, Outcome.GAVE_UP, cause=Cause.GAVE_UP, error=error)
        return attempt_result_now(app, claim, started, Outcome.SNOOZED, delay=error.delay)
    if isinstance(error, RetryAfter):
        return attempt_result_now(app, claim, started, Outcome.FAILED, delay=error.delay, error=error)
    if isinstance(error, GiveUp):
        return attempt_result_now(app, claim, started, Outcome.GAVE_UP, cause=Cause.GAVE_UP, error=error)
    if isinstance(error, UnknownEffect):
        return attempt_result_now(app, claim, started, Outcome.GAVE_UP, cause=Cause.UNKNOWN_EFFECT, error=error)
    if isinstance(error, ChildDead):
        # Another attempt would find the same children.
        return attempt_result_now(app, claim, started, Outcome.GAVE_UP, cause=Cause.GAVE_UP, error=error)
    if isinstance(error, Cancel | Cancelled):
        return attempt_result_now(app, claim, started, Outcome.CANCELLED, error=error)
    outcome = Outcome.FAILED
    raised: BaseException | None = error
    if isinstance(error, TimeLimitExceeded):
        outcome, raised = Outcome.TIMED_OUT, None
    elif isinstance(error, MemoryError):
        outcome, raised = Outcome.OUT_OF_MEMORY, None
        error.args = error.args or ("The attempt needed more memory than its limit allows.",)
    elif not isinstance(error, Exception):
        log.warning(
            "Job raised an error that is not an Exception", extra={"kind": kind, "error_type": type(error).__name__}
        )
        raised = None
    delay = retry.delay(claim.charged + 1, error=raised, age=claim.age, rng=app.clock.rng)
    if delay is None:
        is_fatal = raised is not None and retry.is_fatal(raised)
        cause = Cause.GAVE_UP if is_fatal else Cause.EXHAUSTED
        return attempt_result_now(app, claim, started, outcome, cause=cause, error=error)
    if outcome is Outcome.OUT_OF_MEMORY:
        delay = crash_delay(claim.crashes)
    return attempt_result_now(app, claim, started, outcome, delay=delay, error=error)


def _is_reading(error: ArgumentsRefused) -> bool:
    """Whether this run's own arguments were refused, not those of a run that the job enqueued."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code in (read_arguments.__code__, read_message.__code__)
