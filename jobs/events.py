"""Events: what happened, as frozen dataclasses. They are emitted after the commit; ``observe`` subscribes.

Names and fields here are public: changing one is a breaking change. No event carries a job's arguments.
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


@dataclass(frozen=True, slots=True)
class Event:
    """A committed fact."""


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
    """Told late, of one that goes on and on."""


@dataclass(frozen=True, slots=True)
class AttemptEnded(Event):
    """An attempt was settled; ``state`` is where its run now is, ``error`` what was raised, if known here.

    ``waited_seconds`` is from when the run was due; None where the attempt's worker did not live to tell.
    ``schedule`` and ``scheduled_for`` are those of the run's slot, if a schedule made it and its worker lived: with
    ``SlotFired``, all that a check-in of a cron monitor needs.
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
    """A run that nobody held is dead: it expired, or nobody knows its kind."""

    run_id: UUID
    kind: str
    queue: str
    cause: Cause
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResultRefused(Event):
    """A result came from a holder whose lease was lost; it changed nothing."""

    run_id: UUID
    kind: str
    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class BatchSettled(Event):
    """One settle commit ended ``runs`` attempts."""

    runs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RunsSwept(Event):
    """Upkeep moved runs that nobody held: ``duty`` is rescue, expire, unknown_kind, reconcile or
    prune; of prune_keys, prune_groups, prune_slots, prune_workers and prune_audit ``runs`` are other rows."""

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
    """A slot made a run; ``lateness_seconds`` is how long after its moment."""

    schedule: str
    kind: str
    slot_at: datetime
    run_id: UUID
    lateness_seconds: float


@dataclass(frozen=True, slots=True)
class SlotPassed(Event):
    """A slot made no run; ``state`` is skipped or missed, ``older_missed`` how many older ones it stands for."""

    schedule: str
    kind: str
    slot_at: datetime
    state: str
    why: str
    older_missed: int


@dataclass(frozen=True, slots=True)
class ScheduleTicked(Event):
    """The leading scheduler decided what was due; ``next_slot_at`` is the earliest slot to come."""

    schedules: int
    fired: int
    seconds: float
    next_slot_at: datetime | None


@dataclass(frozen=True, slots=True)
class ScheduleBroken(Event):
    """A schedule cannot be read by this release: it makes no runs until it is changed."""

    schedule: str
    problem: str


@dataclass(frozen=True, slots=True)
class LeadChanged(Event):
    """This scheduler began to lead, or ceased to."""

    holder: str
    is_leading: bool


E = TypeVar("E", bound=Event)


class Events:
    """Who hears of what. A subscriber that fails is logged and breaks nothing."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Event], list[Callable[[list[Any]], None]]] = {}

    def subscribe(self, kind: type[E], hear: Callable[[list[E]], None]) -> None:
        """Call ``hear`` with each batch of events of exactly this kind, on the thread that committed them."""
        self._subscribers.setdefault(kind, []).append(hear)

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens: lets hot paths skip building events."""
        return kind in self._subscribers

    def emit(self, events: list[E]) -> None:
        """Tell of a batch of events, all of one kind."""
        if not events:
            return
        for hear in self._subscribers.get(type(events[0]), ()):
            try:
                hear(events)
            except Exception:
                log.exception("A subscriber failed.", extra={"event_type": type(events[0]).__name__})
