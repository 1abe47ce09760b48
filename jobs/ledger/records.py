"""Records that move runs: what the ledger takes and returns when it inserts, claims and settles. Without SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from jobs.formats.fingerprint import fingerprint_of
from jobs.states import Cause, Outcome, RunState


@dataclass(slots=True, kw_only=True)
class NewRun:
    """A run to insert. ``arguments`` and ``tags`` are JSON text, already checked.

    ``hold_seconds`` is how long its key is held from now on, beyond the run's own life; None is for ever. Treat it as
    immutable: it is not frozen, because a frozen one costs three times as much to make.
    """

    id: UUID
    kind: str
    queue: str
    arguments: str
    max_attempts: int
    priority: int = 0
    arguments_version: int = 1
    delay_seconds: float = 0.0
    run_at: datetime | None = None
    expires_at: datetime | None = None
    expires_seconds: float | None = None
    tags: str | None = None
    correlation_id: str | None = None
    trace_context: str | None = None
    enqueued_by: str | None = None
    parent_id: UUID | None = None
    root_id: UUID | None = None
    replayed_from: UUID | None = None
    schedule: str | None = None
    scheduled_for: datetime | None = None
    key: str | None = None
    arguments_hash: str | None = None
    hold_seconds: float | None = 0.0
    on_conflict: Literal["keep", "replace"] = "keep"
    followups: tuple[FollowUp, ...] = ()
    batch_id: UUID | None = None
    after: tuple[UUID, ...] = ()
    on_parent_dead: Literal["cancel", "run", "hold"] = "cancel"
    blobs: tuple[UUID, ...] = ()
    """The stored values that its arguments refer to."""

    @property
    def has_followups(self) -> int:
        """Whether its end has effects: follow-ups, or a batch that counts it."""
        return int(bool(self.followups) or self.batch_id is not None)


class SimilarRun(NewRun):
    """A run that differs from ``like`` in its id and arguments only, and is made in a tenth of the time.

    It has the other values of ``like``, which it does not copy. ``like`` is None in a changed copy (``replace``).
    """

    __slots__ = ("like",)
    like: NewRun | None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.like = None

    def __getattr__(self, name: str) -> Any:
        if name == "like":
            raise AttributeError(name)
        return getattr(self.like, name)


def similar_run(like: NewRun, id: UUID, arguments: str) -> SimilarRun:
    """A run of the same kind, with the same options, as ``like``."""
    run = SimilarRun.__new__(SimilarRun)
    run.like, run.id, run.arguments = like, id, arguments
    return run


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A run to enqueue when another enters ``on_state``: a final state, or ``ended`` for any of them."""

    on_state: str
    run: NewRun


class Admitted(NamedTuple):
    """The result of enqueueing a run: ``run`` as it is now, and whether this call made it."""

    run: NewRun
    created: bool


class Claim(NamedTuple):
    """A worker's right to perform a run until its lease expires; proven by the token.

    A named tuple, because every row of a claim makes one, and a frozen dataclass costs five times as much.
    """

    run_id: UUID
    token: UUID
    kind: str
    queue: str
    priority: int
    attempt: int
    charged: int
    crashes: int
    abandonments: int
    max_attempts: int
    arguments: str
    arguments_version: int
    run_at: datetime
    created_at: datetime
    claimed_at: datetime
    correlation_id: str | None
    parent_id: UUID | None
    root_id: UUID | None
    scheduled_for: datetime | None
    schedule: str | None = None
    key: str | None = None
    trace_context: str | None = None
    problem: str | None = None
    """Unreadable values of its row: the run must not be performed, and its attempt ends it as ``unreadable``."""

    @property
    def age(self) -> timedelta:
        """Time from the enqueue to the claim, by the ledger's clock."""
        return self.claimed_at - self.created_at


@dataclass(frozen=True, slots=True)
class Failure:
    """The stored form of an attempt's error: sanitised and limited in size."""

    type: str
    message: str
    traceback: str | None
    fingerprint: str

    @classmethod
    def without_exception(cls, kind: str, type: str, message: str) -> Failure:
        """A failure without an exception, described by the code that ends the attempt."""
        return cls(type, message, None, fingerprint_of(kind, type))


@dataclass(frozen=True, slots=True)
class Completion:
    """A completed message of a group, by its own id; ``then`` is enqueued when the group is complete."""

    group_id: UUID
    message_id: str
    then: tuple[NewRun, ...]


@dataclass(frozen=True, slots=True)
class KeptLog:
    """What is kept of an attempt's log: ``lines`` as JSON text, all lines that there were, and those left out."""

    lines: str
    line_count: int
    left_out: int


@dataclass(slots=True, kw_only=True)
class AttemptResult:
    """How an attempt ended, for settling. The ledger decides the next state of its run.

    ``delay_seconds`` is the wait before the next attempt; ``cause``, if given, says why there is none. ``then`` are
    runs that are enqueued with it, unless it is refused or an operator cancelled the run. ``completes`` are groups in
    which its success counts. ``arguments`` replace those of the next attempt, if there is one. ``ended_monotonic`` is
    when it ended, by this process's monotonic clock; the ledger's moments are computed from it.
    """

    claim: Claim
    outcome: Outcome
    elapsed_seconds: float
    ended_monotonic: float
    delay_seconds: float = 0.0
    cause: Cause | None = None
    result: str | None = None
    failure: Failure | None = None
    error: BaseException | None = field(default=None, repr=False)
    then: Sequence[NewRun] = ()
    completes: Sequence[Completion] = ()
    arguments: str | None = None
    held_on: str | None = None
    """What the run of a suspended attempt waits for."""
    held_until: datetime | None = None
    """When time alone makes it ready; None: never."""
    awaits: UUID | None = None
    """The batch of the children that it waits for."""
    log: KeptLog | None = None
    """What it logged, if anything."""


class RecordedAttempt(NamedTuple):
    """The state of a run after one of its attempts ended."""

    run_id: UUID
    kind: str
    queue: str
    priority: int
    state: RunState
    cause: Cause | None
    outcome: Outcome
    attempt: int
    started_at: datetime
    finished_at: datetime
    retry_at: datetime | None
    followed_by: tuple[Freed, ...] = ()
    correlation_id: str | None = None
    """Known if another process than its worker ended the attempt."""
    failure: Failure | None = None
    """Known in the same case."""
    is_held: bool = False
    """Its run waits for something else than its time; ``retry_at`` None: time alone does not make it ready."""
    breakers: tuple[BreakerChange, ...] = ()
    """Breakers that opened or closed with it."""
    slots_left: tuple[tuple[str, str], ...] = ()
    """Keys of limits whose slots nobody took: after the commit, hand them to runs that were being parked then."""


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A breaker opened, opened again because a canary failed, or closed.

    ``is_news`` is False if an attempt failed and the breaker was open already. ``digest`` is that of the key.
    ``probe_at`` is when its next canary may go, ``freed`` how many parked runs its close made ready at once.
    """

    name: str
    kind: str
    is_open: bool
    digest: str = ""
    is_news: bool = True
    is_again: bool = False
    fingerprint: str | None = None
    error_type: str | None = None
    failures: int | None = None
    probe_at: datetime | None = None
    freed: int = 0


@dataclass(frozen=True, slots=True)
class Freed:
    """A run that now waits in its queue, for the ready index. ``run_at`` None: now."""

    run_id: UUID
    queue: str
    priority: int
    run_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A run that died without a lease. ``freed`` are the runs that this made ready; publish them after the commit."""

    run_id: UUID
    kind: str
    queue: str
    correlation_id: str | None = None
    freed: tuple[Freed, ...] = ()
