"""Periodic: turns due slots into runs. Several processes may do this at once: a slot is one row and makes one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.app import App
from jobs.enqueue.enqueuer import enqueuer
from jobs.enqueue.write_path import announce_runs, carrier
from jobs.events import ScheduleBroken, ScheduleTicked, SlotFired, SlotPassed
from jobs.ledger.schedules.fire import BATCH, Round, fire_due, fire_released
from jobs.ledger.schedules.leader import limit_idle
from jobs.ledger.schedules.schedules import Outlook, outlook

BEAT_SECONDS = 1.0
"""The longest wait between two looks. Source: decision; an operator's change takes effect within it."""


OVERDUE = timedelta(seconds=2)
"""A scheduler that does not lead decides slots that are due for this long. Source: decision; two looks of a live
leader."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """The results of one tick."""

    schedules: int = 0
    fired: int = 0


class Periodic:
    """Finds the slots that are due by the ledger's clock, and decides them."""

    def __init__(self, app: App) -> None:
        self._app = app

    def beat(self, *, may_continue: Callable[[], bool] = lambda: True) -> float:
        """Decide the due slots. Returns the seconds until the next look. If nothing is due, it only reads."""
        look = self._look()
        if is_due(look):
            self.tick(look, may_continue=may_continue)
            look = self._look()
        return seconds_until(look.next_slot_at, look.now)

    def decide_overdue(self) -> Ticked:
        """For standby schedulers: decide slots that are overdue, since the leader may be dead, frozen or overloaded."""
        look = self._look()
        if look.next_slot_at is None or look.now - look.next_slot_at < OVERDUE:
            return Ticked()
        return self.tick(look)

    def tick(self, look: Outlook | None = None, *, may_continue: Callable[[], bool] = lambda: True) -> Ticked:
        """Decide the due slots, in batches of one transaction each, while ``may_continue`` returns True."""
        look = look or self._look()
        began = self._app.clock.monotonic()
        looked_at = fired = 0
        # Held slots go first, since otherwise later slots of the same schedule would overtake them.
        for verb in ([fire_released] if look.has_held else []) + [fire_due]:
            while True:
                with self._app.database.write() as connection:
                    limit_idle(connection)
                    done = verb(connection, by=enqueuer(), carry=carrier(self._app))
                    if done.wakes_workers:
                        self._app.database.send_notify(connection)
                announce(self._app, done)
                looked_at += done.looked_at
                fired += sum(one.run is not None for one in done.decided)
                if done.looked_at < BATCH or not may_continue():
                    break
        if looked_at and self._app.events.has_subscriber(ScheduleTicked):
            took = self._app.clock.monotonic() - began
            self._app.events.emit([ScheduleTicked(looked_at, fired, took, self._look().next_slot_at)])
        return Ticked(looked_at, fired)

    def _look(self) -> Outlook:
        with self._app.database.read() as connection:
            return outlook(connection)


def is_due(look: Outlook) -> bool:
    return look.has_held or (look.next_slot_at is not None and look.next_slot_at <= look.now)


def seconds_until(moment: datetime | None, now: datetime) -> float:
    """Seconds from ``now`` until ``moment``, both by the same clock; at most one beat."""
    if moment is None:
        return BEAT_SECONDS
    return min(BEAT_SECONDS, max(0.0, (moment - now).total_seconds()))


def announce(app: App, done: Round) -> None:
    """Announce the committed runs to the ready index, and emit events."""
    announce_runs(app, done.runs, freed=done.freed)
    fired, passed = [], []
    for one in done.decided:
        slot = one.slot
        if one.run is not None:
            fired.append(SlotFired(slot.schedule, one.kind, slot.slot_at, one.run.id, max(0.0, one.lateness_seconds)))
        else:
            state = slot.state.value
            passed.append(SlotPassed(slot.schedule, one.kind, slot.slot_at, state, slot.why, slot.older_missed))
    app.events.emit(fired)
    app.events.emit(passed)
    app.events.emit([ScheduleBroken(name, problem) for name, problem in done.broken.items()])
