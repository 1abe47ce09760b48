"""Events: committed facts as frozen dataclasses, emitted after the commit; ``observe`` subscribes to them.

Names and fields are public: changing one is a breaking change. No event carries a job's arguments.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from jobs.states import Cause, Outcome, RunState

log = logging.getLogger("jobs.events")


class Event:
    """A committed fact."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RunEnqueued(Event):
    run_id: UUID
    kind: str
    queue: str


@dataclass(frozen=True, slots=True)
class AttemptStarted(Event):
    run_id: UUID
    kind: str
    queue: str
    attempt: int
    correlation_id: str | None
    going_seconds: float = 0.0
    """Seconds that the attempt has been running, where the event reports it late."""


@dataclass(slots=True)
class AttemptEnded(Event):
    """An attempt was settled. ``state`` is the state of its run now, ``error`` the exception, if this process has it.

    ``waited_seconds`` counts from when the run was due; None if the attempt's worker died. ``schedule`` and
    ``scheduled_for`` are those of the run's slot, if a schedule made it and its worker lived. Together with
    ``SlotFired`` they are all that a check-in of a cron monitor needs.

    Treat it as immutable: it is not frozen, because a frozen one costs twice as much to make.
    """

    run_id: UUID
    kind: str
    queue: str
    attempt: int
    outcome: Outcome
    state: RunState
    cause: Cause | None
    started_at: datetime
    elapsed_seconds: float
    waited_seconds: float | None
    correlation_id: str | None
    retry_at: datetime | None = None
    error_type: str | None = None
    error_message: str | None = None
    fingerprint: str | None = None
    error: BaseException | None = None
    schedule: str | None = None
    scheduled_for: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunDeadLettered(Event):
    """A run without a lease is dead: it expired, or no worker knows its kind."""

    run_id: UUID
    kind: str
    queue: str
    cause: Cause
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResultRefused(Event):
    """An attempt reported a result after it lost its lease; the ledger did not change."""

    run_id: UUID
    kind: str
    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class BreakerOpened(Event):
    """Further runs are parked until a canary succeeds. ``is_again``: the last canary failed.

    ``probe_at`` is when the next canary may go. It names no key: a key is the value of an argument.
    """

    breaker: str
    kind: str
    is_again: bool
    fingerprint: str | None
    error_type: str | None
    failures: int | None
    probe_at: datetime | None


@dataclass(frozen=True, slots=True)
class BreakerClosed(Event):
    """A canary succeeded: parked runs are ready, ``freed`` of them at once, and the others within seconds."""

    breaker: str
    kind: str
    freed: int


@dataclass(frozen=True, slots=True)
class BatchSettled(Event):
    """One settle commit ended ``runs`` attempts."""

    runs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RunsSwept(Event):
    """Upkeep moved runs without a lease: ``duty`` is rescue, expire, unknown_kind, reconcile, batches or prune.

    For prune_keys, prune_groups, prune_slots, prune_workers, prune_audit and prune_stored, ``runs`` counts other rows.
    """

    duty: str
    runs: int


@dataclass(frozen=True, slots=True)
class ServiceFailed(Event):
    """The ledger or the ready index did not answer; ``service`` is ``ledger`` or ``ready``."""

    service: str
    operation: str
    error: str


@dataclass(frozen=True, slots=True)
class SlotFired(Event):
    """A slot made a run, ``lateness_seconds`` after its planned time."""

    schedule: str
    kind: str
    slot_at: datetime
    run_id: UUID
    lateness_seconds: float


@dataclass(frozen=True, slots=True)
class SlotPassed(Event):
    """A slot made no run; ``state`` is skipped or missed, ``older_missed`` counts the older slots included in it."""

    schedule: str
    kind: str
    slot_at: datetime
    state: str
    why: str
    older_missed: int


@dataclass(frozen=True, slots=True)
class ScheduleTicked(Event):
    """The leading scheduler handled the due slots; ``next_slot_at`` is the earliest future slot."""

    schedules: int
    fired: int
    seconds: float
    next_slot_at: datetime | None


@dataclass(frozen=True, slots=True)
class ScheduleBroken(Event):
    """This release cannot read a schedule: it makes no runs until it is changed."""

    schedule: str
    problem: str


@dataclass(frozen=True, slots=True)
class LeadChanged(Event):
    """This scheduler became the leader, or ceased to be it."""

    holder: str
    is_leading: bool


E = TypeVar("E", bound=Event)


class Events:
    """Passes events to their subscribers. A subscriber that fails is logged and affects nothing else."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Event], list[Callable[[list[Any]], None]]] = {}

    def subscribe(self, kind: type[E], subscriber: Callable[[list[E]], None]) -> None:
        """Call ``subscriber`` with each batch of events of exactly this class, on the thread that committed them."""
        self._subscribers.setdefault(kind, []).append(subscriber)

    def has_subscriber(self, kind: type[Event]) -> bool:
        """Whether this class has a subscriber: lets hot paths skip building events."""
        return kind in self._subscribers

    def emit(self, events: list[E]) -> None:
        """Pass a batch of events, all of one class, to their subscribers."""
        if not events:
            return
        for subscriber in self._subscribers.get(type(events[0]), ()):
            try:
                subscriber(events)
            except Exception:
                log.exception("Subscriber failed", extra={"event_type": type(events[0]).__name__})
