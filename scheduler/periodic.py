"""Periodic: what is due becomes runs. Any number may do this at once: a slot is one row, and makes one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.app import App
from jobs.enqueue.write_path import announce_runs, carrier, enqueuer
from jobs.events import ScheduleBroken, ScheduleTicked, SlotFired, SlotPassed
from jobs.ledger.schedules.fire import BATCH, Round, fire_due, fire_released
from jobs.ledger.schedules.leader import limit_idle
from jobs.ledger.schedules.schedules import Outlook, outlook

BEAT_SECONDS = 1.0
"""The longest wait between two looks. Source: decision; what an operator changes is seen within it."""


OVERDUE = timedelta(seconds=2)
"""A slot undecided for so long is anybody's, leader or not. Source: decision; two looks of a leader that lives."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """What one tick did."""

    schedules: int = 0
    fired: int = 0


class Periodic:
    """Looks what is due by the ledger's clock, and decides it."""

    def __init__(self, app: App) -> None:
        self._app = app

    def beat(self, *, goes_on: Callable[[], bool] = lambda: True) -> float:
        """Decide what is due; the seconds until the next look. A read that finds nothing due writes nothing."""
        look = self._look()
        if is_due(look):
            self.tick(look, goes_on=goes_on)
            look = self._look()
        return seconds_until(look.next_slot_at, look.now)

    def help_out(self) -> Ticked:
        """For those who stand by: decide what the leader should have. It may be dead, frozen, or have too much."""
        look = self._look()
        if look.next_slot_at is None or look.now - look.next_slot_at < OVERDUE:
            return Ticked()
        return self.tick(look)

    def tick(self, look: Outlook | None = None, *, goes_on: Callable[[], bool] = lambda: True) -> Ticked:
        """Decide what is due, in batches, each a transaction of its own, while ``goes_on`` says so."""
        look = look or self._look()
        began = self._app.clock.monotonic()
        looked_at = fired = 0
        # What was held goes first, or it would be overtaken by slots of its own schedule.
        for verb in ([fire_released] if look.has_held else []) + [fire_due]:
            while True:
                with self._app.database.write() as connection:
                    limit_idle(connection)
                    done = verb(connection, by=enqueuer(), carry=carrier(self._app))
                tell(self._app, done)
                looked_at += done.looked_at
                fired += sum(one.run is not None for one in done.decided)
                if done.looked_at < BATCH or not goes_on():
                    break
        if looked_at and self._app.events.wants(ScheduleTicked):
            took = self._app.clock.monotonic() - began
            self._app.events.emit([ScheduleTicked(looked_at, fired, took, self._look().next_slot_at)])
        return Ticked(looked_at, fired)

    def _look(self) -> Outlook:
        with self._app.database.read() as connection:
            return outlook(connection)


def is_due(look: Outlook) -> bool:
    return look.has_held or (look.next_slot_at is not None and look.next_slot_at <= look.now)


def seconds_until(moment: datetime | None, now: datetime) -> float:
    """From ``now`` until ``moment``, by one clock, and a beat at most."""
    if moment is None:
        return BEAT_SECONDS
    return min(BEAT_SECONDS, max(0.0, (moment - now).total_seconds()))


def tell(app: App, done: Round) -> None:
    """Tell the ready index and the subscribers of what was committed."""
    announce_runs(app, [one.run for one in done.decided if one.run is not None])
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
