"""Previews when a schedule would fire: each slot with its wall time, and notes about clock changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.scheduling.cron import calendar
from jobs.scheduling.schedule import Cron, Schedule
from jobs.scheduling.slots import jittered, slots
from jobs.scheduling.zones import changes, zone


@dataclass(frozen=True, slots=True)
class PlannedSlot:
    """A future slot: its moment (UTC), its wall time, when its run is due, and a note."""

    slot: datetime
    local: datetime
    run_at: datetime
    note: str


def preview(
    schedule: Schedule, *, after: datetime, until: datetime, limit: int, name: str = "preview"
) -> list[PlannedSlot]:
    """The first ``limit`` slots of ``after < slot <= until``; ``note`` is empty for an ordinary one.

    Args:
        name: name of a schedule that has none itself; its jitter depends on it.
    """
    planned = []
    for slot in slots(schedule, after=after, until=until, limit=limit):
        local = slot.astimezone(zone(schedule.timezone)) if isinstance(schedule, Cron) else slot
        note = _clock_change(schedule, slot, local) if isinstance(schedule, Cron) else ""
        planned.append(PlannedSlot(slot, local, jittered(schedule, slot, name=name), note))
    return planned


def _clock_change(schedule: Cron, slot: datetime, local: datetime) -> str:
    read = calendar(schedule.expression)
    wall = local.replace(tzinfo=None, fold=0)
    for change in changes(schedule.timezone, slot - timedelta(seconds=1), slot):
        skipped_from = wall - (change.after - change.before)
        skipped = None if read.follows_the_clock else read.first(skipped_from, wall)
        if skipped is not None:
            return f"moved: the clocks skip {skipped:%Y-%m-%d %H:%M:%S}"
    if local.fold:
        return "the clocks show this time again"
    if local.utcoffset() != local.replace(fold=1).utcoffset() and _is_real(local.replace(fold=1)):
        return "the first of two" + ("" if read.follows_the_clock else "; it does not fire at the second")
    return ""


def _is_real(local: datetime) -> bool:
    """Whether clocks ever show this time: false inside a gap."""
    return local.timestamp() > local.replace(fold=0).timestamp()
