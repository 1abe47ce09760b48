"""What an attempt came to, in the ledger's words: its ending, also by an actor's verdict, and its result as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic_core import to_json

from jobs.app import App
from jobs.arguments import holds_nul
from jobs.dramatiq.verdict import Verdict
from jobs.failure import MAX_MESSAGE, describe_failure, storable
from jobs.ledger.records import Claim, Ending, Failure
from jobs.ledger.sweep import CRASH_DELAY
from jobs.states import Cause, Outcome

log = logging.getLogger("jobs.worker")


def ending_of(app: App, claim: Claim, started: float, verdict: Verdict) -> Ending:
    """The ending that a processed message asks for; ``started`` is when, by the monotonic clock."""
    now = app.clock.monotonic()
    error = verdict.error
    return Ending(
        claim=claim,
        outcome=verdict.outcome,
        elapsed_seconds=now - started,
        ended_monotonic=now,
        delay_seconds=verdict.delay_seconds,
        cause=verdict.cause,
        result=result_text(app, claim, verdict.value),
        failure=describe_failure(error, kind=claim.kind) if error is not None else None,
        error=error,
        then=verdict.then,
        completes=verdict.completes,
        arguments=verdict.arguments,
    )


def ended(
    app: App,
    claim: Claim,
    started: float,
    outcome: Outcome,
    *,
    delay: timedelta | None = None,
    cause: Cause | None = None,
    result: str | None = None,
    error: BaseException | None = None,
) -> Ending:
    """The ending of an attempt that ends now; ``started`` is when it began, by the monotonic clock."""
    now = app.clock.monotonic()
    return Ending(
        claim=claim,
        outcome=outcome,
        elapsed_seconds=now - started,
        ended_monotonic=now,
        delay_seconds=delay.total_seconds() if delay is not None else 0.0,
        cause=cause,
        result=result,
        failure=describe_failure(error, kind=claim.kind) if error is not None else None,
        error=error,
    )


def broken(app: App, claim: Claim, started: float, error: BaseException) -> Ending:
    """The ending of an attempt around which the worker's own code failed with ``error``. Raises nothing.

    It is on record and waits for the next attempt, longer each time. It is not charged: the job has not failed. It
    counts towards poison, so that it does not go on for ever.
    """
    with suppress(BaseException):  # What formats the error may be what failed.
        told = {"kind": claim.kind, "run_id": str(claim.run_id)}
        log.error("Performing failed outside the job.", exc_info=error, extra=told)
    delay = CRASH_DELAY * 2.0 ** min(claim.abandonments, 10)
    ending = ended(app, claim, started, Outcome.ABANDONED, delay=delay, error=error)
    if ending.failure is not None:
        ending.failure = replace(ending.failure, message=f"Outside the job: {ending.failure.message}"[:MAX_MESSAGE])
    return ending


def set_aside(app: App, claim: Claim) -> Ending:
    """The ending of a run whose row cannot be read: it is not performed, and dead with that cause."""
    assert claim.problem is not None
    ending = ended(app, claim, app.clock.monotonic(), Outcome.GAVE_UP, cause=Cause.UNREADABLE)
    ending.failure = Failure.told(claim.kind, "Unreadable", f"Its row in the ledger cannot be read: {claim.problem}")
    return ending


def result_text(app: App, claim: Claim, value: Any) -> str | None:
    """A returned value as JSON. The work is done: what cannot be kept is warned of, and does not undo it."""
    if value is None:
        return None
    why: str | None = None
    text: str | None = None
    try:
        if isinstance(value, Iterator):
            raise TypeError("reading it would be work, and the job has ended")
        text = to_json(value, inf_nan_mode="constants").decode()
        if ("NaN" in text or "Infinity" in text) and (plain := to_json(value, inf_nan_mode="null").decode()) != text:
            # Databases differ in whether they take them: null is what both do.
            text, why = plain, "holds NaN or Infinity: null is kept in its place"
        text = storable(text)
        json.loads(text)
    except Exception as error:
        text, why = None, type(error).__name__
    else:
        has_nul = holds_nul(text)
        if len(text) > app.settings.max_result_bytes or has_nul:
            text, why = None, "holds NUL" if has_nul else "too large"
    if why is not None:
        said = "A result could not be kept." if text is None else "A result could not be kept whole."
        log.warning(said, extra={"kind": claim.kind, "run_id": str(claim.run_id), "why": why})
    return text
