"""A run as the model of the state machine has it, with the rule of how an attempt ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from jobs.states import CHARGED, CRASHES, Cause, Outcome, RunState


@dataclass
class Expected:
    """A run as the model has it."""

    id: UUID
    max_attempts: int
    run_at: datetime
    expires_at: datetime | None
    priority: int
    state: RunState = RunState.QUEUED
    cause: Cause | None = None
    attempt: int = 0
    charged: int = 0
    crashes: int = 0
    abandonments: int = 0
    token: UUID | None = None
    lease_until: datetime | None = None
    worker: str | None = None
    is_cancelled: bool = False
    attempts: list[tuple[int, UUID, Outcome, Outcome | None]] = field(default_factory=list)
    effects: int = 0
    key: str | None = None

    def is_claimable(self, now: datetime) -> bool:
        lives = self.expires_at is None or self.expires_at > now or self.attempt > 0
        return self.state is RunState.QUEUED and self.run_at <= now and lives

    def end(self, outcome: Outcome, cause: Cause | None, delay: float, now: datetime, poison_after: int) -> None:
        """The rule of DESIGN §5, said once more and otherwise than in SQL."""
        self.charged += outcome in CHARGED
        self.crashes += outcome in CRASHES
        self.abandonments += outcome is Outcome.ABANDONED
        is_poison = (outcome in CRASHES and self.crashes >= poison_after) or (
            outcome is Outcome.ABANDONED and self.abandonments >= poison_after
        )
        state, why = RunState.QUEUED, None
        if self.is_cancelled or outcome is Outcome.CANCELLED:
            state = RunState.CANCELLED
        elif outcome is Outcome.SUCCEEDED:
            state = RunState.SUCCEEDED
        elif is_poison:
            state, why = RunState.DEAD, Cause.POISON
        elif cause is not None:
            state, why = RunState.DEAD, cause
        elif outcome in CHARGED and self.charged >= self.max_attempts:
            state, why = RunState.DEAD, Cause.EXHAUSTED
        assert self.token is not None
        if state is RunState.CANCELLED and outcome is Outcome.SUCCEEDED:
            outcome = Outcome.CANCELLED
        self.attempts.append((self.attempt, self.token, outcome, None))
        self.state, self.cause, self.token, self.lease_until = state, why, None, None
        if state is RunState.QUEUED:
            self.run_at = now + timedelta(seconds=delay)

    def refuse(self, token: UUID, outcome: Outcome) -> None:
        for place, (number, of, was, refused) in enumerate(self.attempts):
            if of == token and refused is None:
                self.attempts[place] = (number, of, was, outcome)

    def give_back(self) -> None:
        self.state = RunState.CANCELLED if self.is_cancelled else RunState.QUEUED
        self.attempt -= 1
        self.token = self.lease_until = self.worker = None
