"""Builds the result of an attempt as the ledger records it, with the returned value as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic_core import to_json

from jobs.app import App
from jobs.definition.arguments import holds_nul
from jobs.errors import ArgumentsRefused, ServiceDown
from jobs.formats.stored_reference import may_hold_packed, packed_in
from jobs.ledger.records import AttemptResult, Claim, Failure
from jobs.ledger.runs.sweep import crash_delay
from jobs.messages.message_outcome import MessageOutcome
from jobs.runtime.failure import MAX_MESSAGE, describe_failure, storable
from jobs.runtime.own_threads import hold
from jobs.sealing.run_seal import RunSeal
from jobs.states import Cause, Outcome
from jobs.storage.packing import pack_result, result_is_large
from jobs.storage.value import Stored

log = logging.getLogger("jobs.worker")


def attempt_result_of(app: App, claim: Claim, started: float, message_outcome: MessageOutcome) -> AttemptResult:
    """The result of an attempt that processed a dramatiq message; ``started`` is its start by the monotonic clock."""
    now = app.clock.monotonic()
    error = message_outcome.error
    return AttemptResult(
        claim=claim,
        outcome=message_outcome.outcome,
        elapsed_seconds=now - started,
        ended_monotonic=now,
        delay_seconds=message_outcome.delay_seconds,
        cause=message_outcome.cause,
        result=result_in_row(app, claim, message_outcome.value, None),
        failure=describe_failure(error, kind=claim.kind) if error is not None else None,
        error=error,
        then=message_outcome.then,
        completes=message_outcome.completes,
        arguments=message_outcome.arguments,
    )


def attempt_result_now(
    app: App,
    claim: Claim,
    started: float,
    outcome: Outcome,
    *,
    delay: timedelta | None = None,
    cause: Cause | None = None,
    result: str | None = None,
    error: BaseException | None = None,
) -> AttemptResult:
    """The result of an attempt that ends now; ``started`` is its start by the monotonic clock."""
    now = app.clock.monotonic()
    return AttemptResult(
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


def succeeded(app: App, claim: Claim, started: float, result: str | None) -> AttemptResult:
    """``attempt_result_now`` for a success, which most results are: at half of its cost."""
    now = app.clock.monotonic()
    return AttemptResult(
        claim=claim, outcome=Outcome.SUCCEEDED, elapsed_seconds=now - started, ended_monotonic=now, result=result
    )


def broken(app: App, claim: Claim, started: float, error: BaseException) -> AttemptResult:
    """The result of an attempt during which the worker's own code failed with ``error``. Raises nothing.

    The attempt is recorded, and the run waits for the next one, longer each time. The attempt is not charged, since
    the job has not failed. It counts towards poison, so that the run is not tried for ever.
    """
    with suppress(BaseException):  # The error may have come from formatting the error.
        told = {"kind": claim.kind, "run_id": str(claim.run_id)}
        log.error("Attempt failed outside the job", exc_info=error, extra=told)
    delay = crash_delay(claim.abandonments)
    attempt_result = attempt_result_now(app, claim, started, Outcome.ABANDONED, delay=delay, error=error)
    if attempt_result.failure is not None:
        attempt_result.failure = replace(
            attempt_result.failure, message=f"Outside the job: {attempt_result.failure.message}"[:MAX_MESSAGE]
        )
    return attempt_result


def set_aside(app: App, claim: Claim) -> AttemptResult:
    """The result for a run whose row cannot be read: the run is not performed and becomes dead with that cause."""
    assert claim.problem is not None
    attempt_result = attempt_result_now(app, claim, app.clock.monotonic(), Outcome.GAVE_UP, cause=Cause.UNREADABLE)
    attempt_result.failure = Failure.without_exception(
        claim.kind, "Unreadable", f"Its row in the ledger cannot be read: {claim.problem}"
    )
    return attempt_result


def result_in_row(app: App, claim: Claim, value: Any, seal: RunSeal | None) -> str | None:
    """A returned value as the row of its run holds it: JSON, sealed or in the store, if it has to be. A value that
    cannot be stored causes a warning only, since the work is done.

    Raises:
        SealKeyMissing, ConfigurationError: this process has no keys for it.
        ServiceDown: the store does not answer.
    """
    text = result_text(app, claim, value)
    return None if text is None else _in_row(app, claim, text, seal)


async def result_in_row_async(app: App, claim: Claim, value: Any, seal: RunSeal | None) -> str | None:
    """The same, without blocking the event loop while a large result goes to the store."""
    text = result_text(app, claim, value)
    if text is not None and result_is_large(app, claim.kind, text):
        return await hold(_in_row, app, claim, text, seal)
    return None if text is None else _in_row(app, claim, text, seal)


def _in_row(app: App, claim: Claim, text: str, seal: RunSeal | None) -> str | None:
    try:
        packed = pack_result(app, claim.kind, claim.run_id, text, seal)
    except ArgumentsRefused:
        _warn(claim, "too large")
        return None
    if packed is not None:
        return packed
    return text if seal is None else seal.result_text(text)


def result_text(app: App, claim: Claim, value: Any) -> str | None:
    """A returned value as JSON. A value that cannot be stored causes a warning only, since the work is done.

    Raises:
        ServiceDown: the store of a ``Stored`` value does not answer.
    """
    if value is None:
        return None
    why: str | None = None
    text: str | None = None
    try:
        if isinstance(value, Iterator):
            raise TypeError("an iterator is not read, since the job has ended")
        other = partial(_stored_reference, app, claim)
        text = to_json(value, inf_nan_mode="constants", fallback=other).decode()
        if ("NaN" in text or "Infinity" in text) and (
            plain := to_json(value, inf_nan_mode="null", fallback=other).decode()
        ) != text:
            # Not every database accepts these values; null works in all of them.
            text, why = plain, "holds NaN or Infinity, which is stored as null"
        text = storable(text)
        json.loads(text)
    except ServiceDown:
        # A stored value could not be written. Without it the work is not done.
        raise
    except Exception as error:
        text, why = None, type(error).__name__
    else:
        has_nul = holds_nul(text)
        is_too_large = len(text) > app.settings.max_result_bytes and not result_is_large(app, claim.kind, text)
        if is_too_large or has_nul:
            text, why = None, "holds NUL" if has_nul else "too large"
        elif may_hold_packed(text) and packed_in(json.loads(text)) is not None:
            text, why = None, "has the form of a value in a store"
    if why is not None:
        _warn(claim, why, is_lost=text is None)
    return text


def _warn(claim: Claim, why: str, *, is_lost: bool = True) -> None:
    said = "Result could not be stored" if is_lost else "Result stored with values replaced"
    log.warning(said, extra={"kind": claim.kind, "run_id": str(claim.run_id), "why": why})


def _stored_reference(app: App, claim: Claim, value: Any) -> Any:
    """The JSON of a ``Stored`` inside a result: its content is written, and the run refers to it."""
    if not isinstance(value, Stored):
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    reference = value.write_to(app, run_id=claim.run_id).reference
    assert reference is not None
    return reference.as_json()
