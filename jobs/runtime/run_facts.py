"""RunFacts: what a job can read of its own run."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from jobs.ledger.records import Claim


class RunFacts:
    """The facts of a run, as they were when this attempt was claimed."""

    __slots__ = ("_claim",)

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    @property
    def id(self) -> UUID:
        return self._claim.run_id

    @property
    def kind(self) -> str:
        return self._claim.kind

    @property
    def queue(self) -> str:
        return self._claim.queue

    @property
    def attempt(self) -> int:
        return self._claim.attempt

    @property
    def max_attempts(self) -> int:
        return self._claim.max_attempts

    @property
    def created_at(self) -> datetime:
        return self._claim.created_at

    @property
    def started_at(self) -> datetime:
        """When this attempt was claimed; aware, UTC, by the ledger's clock."""
        return self._claim.claimed_at

    @property
    def charged(self) -> int:
        """Attempts before this one that count against ``max_attempts``."""
        return self._claim.charged

    @property
    def age(self) -> timedelta:
        """Time from the enqueue to this attempt."""
        return self._claim.age

    @property
    def scheduled_for(self) -> datetime | None:
        return self._claim.scheduled_for

    @property
    def correlation_id(self) -> str | None:
        return self._claim.correlation_id

    @property
    def parent_id(self) -> UUID | None:
        return self._claim.parent_id

    @property
    def root_id(self) -> UUID:
        """The id of the run at the start of this chain of runs; this run's own id if no run enqueued it."""
        return self._claim.root_id or self._claim.run_id

    @property
    def key(self) -> str | None:
        return self._claim.key
