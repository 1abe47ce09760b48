"""What ended without its worker, as events: its attempts were ended by whoever found them."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.events import AttemptEnded, RunBuried
from jobs.ledger.records import Buried, Settled
from jobs.states import Cause


def ended_events(settled: Sequence[Settled]) -> list[AttemptEnded]:
    """The ends of attempts whose process or machine is gone; emit them once they are committed."""
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


def buried_events(buried: Sequence[Buried], cause: Cause) -> list[RunBuried]:
    """Runs that died without an attempt; emit them once that is committed."""
    return [RunBuried(one.run_id, one.kind, one.queue, cause, one.correlation_id) for one in buried]
