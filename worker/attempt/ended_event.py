"""The event that tells logs, metrics and error reports about a recorded attempt."""

from __future__ import annotations

from jobs.events import AttemptEnded
from jobs.ledger.records import AttemptResult, RecordedAttempt


def ended_event(attempt_result: AttemptResult, settled: RecordedAttempt) -> AttemptEnded:
    """The event of an attempt whose end is committed."""
    claim, failure = attempt_result.claim, attempt_result.failure
    # By position, in the order of its fields: one is made for every run, and 18 names cost as much as the values.
    event = AttemptEnded(
        settled.run_id,
        settled.kind,
        settled.queue,
        settled.attempt,
        settled.outcome,
        settled.state,
        settled.cause,
        settled.started_at,
        attempt_result.elapsed_seconds,
        max(0.0, (settled.started_at - claim.run_at).total_seconds()),
        claim.correlation_id,
        settled.retry_at,
    )
    event.error, event.schedule, event.scheduled_for = attempt_result.error, claim.schedule, claim.scheduled_for
    if failure is not None:
        event.error_type, event.error_message, event.fingerprint = failure.type, failure.message, failure.fingerprint
    return event
