"""The event that tells logs, metrics and error reports about a recorded attempt."""

from __future__ import annotations

from jobs.events import AttemptEnded
from jobs.ledger.records import AttemptResult, RecordedAttempt


def ended_event(attempt_result: AttemptResult, settled: RecordedAttempt) -> AttemptEnded:
    """The event of an attempt whose end is committed."""
    claim, failure = attempt_result.claim, attempt_result.failure
    return AttemptEnded(
        run_id=settled.run_id,
        kind=settled.kind,
        queue=settled.queue,
        attempt=settled.attempt,
        outcome=settled.outcome,
        state=settled.state,
        cause=settled.cause,
        started_at=settled.started_at,
        elapsed_seconds=attempt_result.elapsed_seconds,
        waited_seconds=max(0.0, (settled.started_at - claim.run_at).total_seconds()),
        correlation_id=claim.correlation_id,
        retry_at=settled.retry_at,
        error_type=failure.type if failure else None,
        error_message=failure.message if failure else None,
        fingerprint=failure.fingerprint if failure else None,
        error=attempt_result.error,
        schedule=claim.schedule,
        scheduled_for=claim.scheduled_for,
    )
