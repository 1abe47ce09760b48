"""Removes from a result what the ledger refuses to store.

Earlier checks should have caught it. This is the last resort, so that the attempt can end.
"""

from __future__ import annotations

from jobs.ledger.records import AttemptResult, Failure
from jobs.runtime.failure import MAX_MESSAGE, storable
from jobs.states import Cause, Outcome

_UNRECORDABLE = "the ledger could not store the error; the log has it"


def strip(attempt_result: AttemptResult | None, refusal: Exception) -> bool:
    """Remove what the ledger may be unable to store. Returns whether there was anything to remove."""
    if attempt_result is None or (attempt_result.failure and attempt_result.failure.message == _UNRECORDABLE):
        return False
    if attempt_result.log is not None:
        attempt_result.log = None
        return True
    kind = attempt_result.claim.kind
    if attempt_result.then or attempt_result.completes or attempt_result.arguments is not None:
        # Without its follow-up runs the success would be incomplete.
        attempt_result.then, attempt_result.completes = (), ()
        attempt_result.arguments, attempt_result.result = None, None
        if attempt_result.outcome is Outcome.SUCCEEDED:
            attempt_result.outcome, attempt_result.cause = Outcome.FAILED, Cause.BAD_ARGUMENTS
            why = storable(f"The runs that follow this one cannot be recorded: {refusal}")[:MAX_MESSAGE]
            attempt_result.failure = Failure.without_exception(kind, "Unrecordable", why)
        return True
    if attempt_result.outcome is Outcome.SUCCEEDED:
        had, attempt_result.result = attempt_result.result, None
        return had is not None
    attempt_result.failure = Failure.without_exception(kind, "Unrecordable", _UNRECORDABLE)
    return True
