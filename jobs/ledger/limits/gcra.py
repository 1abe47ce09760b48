"""GCRA, the generic cell rate algorithm: reserves the slots of a rate, and checks that starts keep to it.

Pure computation, in whole nanoseconds. Two things are known of a key:

- ``started``: until when the starts so far have used the rate up. It alone decides whether a run may start, so that no
  span has too many starts, whatever happened to the plan.
- a line for each priority: the plan, until when slots are reserved. A run gets the next slot behind those of its own
  priority and of more urgent ones.

Runs that are claimed in time find room at their slots. If they do not, because workers were away and several come at
once or because an urgent run went first, then the whole line is delayed, and its order stays.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.definition.rate import BURST_SECONDS

SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = (datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1) * SECOND
"""No slot is later: nanoseconds since 1970 fit 64 bits until 2262."""
KEPT = 3600 * SECOND
"""How long a line is kept whose slots are all past: late runs of it may come. Source: decision."""
MAX_LINES = 20
"""Priorities of one key that are kept. Source: decision; applications use a few."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate as it applies to a key: one start each ``interval`` nanoseconds, ``burst`` at once after a pause."""

    count: int
    seconds: float
    burst: int | None = None

    @property
    def interval(self) -> int:
        return max(1, round(self.seconds * SECOND / self.count))

    @property
    def tolerance(self) -> int:
        """How much earlier than evenly spaced a run may start."""
        burst = self.burst or max(1, int(BURST_SECONDS * self.count / self.seconds))
        return (burst - 1) * self.interval


@dataclass(slots=True)
class SlotLine:
    """The slots of one priority. ``end`` and ``head`` are places, moments that the ``delay`` of the line comes on top
    of.

    ``head`` is the latest place that has started.
    """

    end: int
    delay: int = 0
    head: int = 0


@dataclass(slots=True)
class Track:
    """The state of a rate's key: for one transaction that has locked its row."""

    pace: Pace
    started: int = 0
    lines: dict[int, SlotLine] = field(default_factory=dict)
    _late: int = 0

    @classmethod
    def read(cls, pace: Pace, started: int | None, lines: str | None, now: int) -> Track:
        """The state as ``written`` gives it; a ``started`` that no start explains is cut: the clock was set back."""
        known = {int(priority): SlotLine(*line) for priority, line in json.loads(lines or "{}").items()}
        latest = now + pace.tolerance + 2 * pace.interval
        return cls(pace, min(started or 0, latest), known)

    def written(self, now: int) -> tuple[int, str | None]:
        """``started`` and the lines that may still matter, for the ledger."""
        kept = sorted(self.lines.items(), key=lambda one: -(one[1].end + one[1].delay))[:MAX_LINES]
        lines = {str(p): [one.end, one.delay, one.head] for p, one in kept if one.end + one.delay > now - KEPT}
        return self.started, json.dumps(lines, separators=(",", ":")) if lines else None

    def next_slot(self, priority: int, now: int) -> int:
        """When a run would start that asked for a slot now."""
        return max(now, self._end(priority, now) - self.pace.tolerance)

    def reserve(self, priority: int, now: int) -> int:
        """Reserve the next slot. Returns its place in the line."""
        end = self._end(priority, now)
        line = self.lines.setdefault(priority, SlotLine(end))
        line.end = min(end + self.pace.interval, LATEST) - line.delay
        return min(max(now, end - self.pace.tolerance), LATEST) - line.delay

    def slot(self, priority: int, place: int) -> int:
        """When the run at this place may start, if there is room."""
        line = self.lines.get(priority)
        return place if line is None else place + line.delay

    def room_at(self) -> int:
        """From when on a run may start: half an interval early, so that small delays of claims add up to none."""
        return self.started - self.pace.tolerance - self.pace.interval // 2

    def start(self, priority: int, place: int, now: int) -> None:
        """A run starts."""
        self.started = max(now, self.started) + self.pace.interval
        line = self.lines.get(priority)
        if line is not None:
            line.head = max(line.head, place)

    def put_off(self, priority: int, place: int) -> int:
        """There is no room at the slot of a run. Returns its slot now."""
        line = self.lines.setdefault(priority, SlotLine(place + self.pace.interval))
        if place < line.head:
            # It comes late for a reason of its own: others behind it have started. They need not wait for it.
            self._late += 1
            return self.room_at() + (self._late - 1) * self.pace.interval
        line.end = max(line.end, place + self.pace.interval)
        line.delay = max(line.delay, self.room_at() - place)
        return place + line.delay

    def _end(self, priority: int, now: int) -> int:
        """Until when everything is reserved or used that goes before a new run of this priority."""
        ahead = [one.end + one.delay for level, one in self.lines.items() if level <= priority]
        return max([now, self.started - self.pace.interval // 2, *ahead])


def nanoseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def moment_of(place: int) -> datetime:
    """The moment, rounded up to what the ledger stores."""
    return _EPOCH + timedelta(microseconds=-(-min(place, LATEST) // 1000))
