"""Events for attempts that another process ended than the one that performed them."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.events import AttemptEnded, RunDeadLettered
from jobs.ledger.records import DeadLettered, RecordedAttempt
from jobs.states import Cause


def ended_events(settled: Sequence[RecordedAttempt]) -> list[AttemptEnded]:
    """Events for the ends of attempts whose process or machine is gone; emit them after the commit."""
    return [
        AttemptEnded(
            run_id=one.run_id,
            kind=one.kind,
            queue=one.queue,
            attempt=one.attempt,
            outcome=one.outcome,
            state=one.state,
            cause=one.cause,
            started_at=one.started_at,
            elapsed_seconds=max(0.0, (one.finished_at - one.started_at).total_seconds()),
            waited_seconds=None,
            correlation_id=one.correlation_id,
            retry_at=one.retry_at,
            error_type=one.failure.type if one.failure else None,
            error_message=one.failure.message if one.failure else None,
            fingerprint=one.failure.fingerprint if one.failure else None,
        )
        for one in settled
    ]


def dead_letter_events(dead_lettered: Sequence[DeadLettered], cause: Cause) -> list[RunDeadLettered]:
    """Events for runs that died without an attempt; emit them after the commit."""
    return [RunDeadLettered(one.run_id, one.kind, one.queue, cause, one.correlation_id) for one in dead_lettered]
