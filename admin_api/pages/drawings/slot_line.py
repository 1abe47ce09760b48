"""Draws the slots of a schedule along a day, with the outcome of past ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin_api.pages.frame.template_filters import tone, when
from jobs.ledger.schedules.schedules import ScheduleRecord
from jobs.ledger.schedules.slots import SlotRecord
from jobs.scheduling.preview import PlannedSlot
from jobs.scheduling.slots import slots

WIDTH, HEIGHT = 480, 20
A_DAY = timedelta(days=1)
MOST = 96
"""The maximum number of separate ticks; more are drawn as a band. Source: decision; five pixels each."""


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    tone: str
    says: str


@dataclass(frozen=True, slots=True)
class SlotLine:
    """Ticks from ``begin`` to ``end``; or ``band``, the start and end of a band, if there are too many."""

    ticks: list[Tick]
    band: tuple[float, float] | None
    begin: datetime
    end: datetime
    now_x: float | None
    width: int = WIDTH
    height: int = HEIGHT


def draw_day(record: ScheduleRecord, *, now: datetime) -> SlotLine:
    """The slots of the next 24 hours; none for a schedule that is paused or cannot be read."""
    end = now + A_DAY
    found: Sequence[datetime] = []
    if not record.problem and record.paused_at is None:
        found = slots(record.schedule, after=max(now, record.decided_until), until=end, limit=MOST + 1)
    if len(found) > MOST:
        return SlotLine([], (_x(found[0], now, end), float(WIDTH)), now, end, None)
    return SlotLine([Tick(_x(one, now, end), "busy", f"{when(one)} UTC") for one in found], None, now, end, None)


def draw_story(past: Sequence[SlotRecord], coming: Sequence[PlannedSlot], *, now: datetime) -> SlotLine | None:
    """The outcome of the latest slots, and the next ones; None if there are none."""
    moments = [one.slot_at for one in past] + [one.slot for one in coming] + [now]
    begin, end = min(moments), max(moments)
    if begin == end:
        return None
    margin = (end - begin) / 40
    begin, end = begin - margin, end + margin
    ticks = [
        Tick(
            _x(one.slot_at, begin, end), tone(one.state.value), f"{when(one.slot_at)} UTC: {one.state.value} {one.why}"
        )
        for one in past
    ]
    ticks += [Tick(_x(one.slot, begin, end), "busy", f"{when(one.slot)} UTC: to come") for one in coming]
    return SlotLine(ticks, None, begin, end, _x(now, begin, end))


def _x(moment: datetime, begin: datetime, end: datetime) -> float:
    return round((moment - begin) / (end - begin) * WIDTH, 1)
