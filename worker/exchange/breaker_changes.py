"""Breakers that settled attempts found open or closed: their events, and the runs that a process must not start."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.definition.breakers import Slice, guarded_kinds, slice_of
from jobs.events import BreakerClosed, BreakerOpened
from jobs.ledger.records import BreakerChange, Claim, RecordedAttempt


def changes_of(settled: Iterable[RecordedAttempt]) -> list[BreakerChange]:
    """The breakers that these attempts found open, opened or closed."""
    return [change for one in settled for change in one.breakers]


def breaker_event(change: BreakerChange) -> BreakerOpened | BreakerClosed:
    """The event of a committed change."""
    if not change.is_open:
        return BreakerClosed(change.name, change.kind, change.freed)
    return BreakerOpened(
        change.name,
        change.kind,
        change.is_again,
        change.fingerprint,
        change.error_type,
        change.failures,
        change.probe_at,
    )


def slice_of_claim(claim: Claim) -> Slice | None:
    """The slice of a claimed run; None if its kind has no breaker."""
    if claim.kind not in guarded_kinds or claim.problem is not None:
        return None
    return slice_of(claim.kind, claim.arguments, claim.arguments_version)[0]
