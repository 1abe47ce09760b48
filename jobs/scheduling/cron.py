"""Cron expressions: cronsim evaluates the calendar, and this module applies the changes of clocks.

cronsim only evaluates the wall clock, without a zone. Its own handling of zones is right for five fields but not for
six (a 02:30 in six fields is lost in spring and doubled in autumn), and it may return a local time that does not exist
where the clocks change at midnight (Africa/Cairo). ``stretches`` maps the wall clock to real time instead.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

from jobs.errors import DefinitionError
from jobs.formats.shown import shown
from jobs.scheduling.cron_step import refuse_long_steps
from jobs.scheduling.zones import changes, offset_at

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L (last day) or LW (last weekday), and a day that its months have",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT, 5L (last Friday), 1#2 (second Monday)",
}
_SECOND = timedelta(seconds=1)
_LOOK_BACK = timedelta(days=2)
"""How far back a change may still affect a slot. Source: no zone was ever set by more than 24 hours."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of wall clock, ``low <= wall < high``, in which clock and UTC have one ``offset``.

    With ``moved``, it contains one slot, at ``low``, whatever the expression says there: the end of a gap.
    """

    low: datetime
    high: datetime
    offset: timedelta
    moved: bool = False

    def moment(self, wall: datetime) -> datetime:
        return (wall - self.offset).replace(tzinfo=UTC)


class Calendar:
    """The wall times of an expression. Wall times are naive and whole seconds.

    Raises:
        DefinitionError: the expression is invalid, or has no time in fifty years.
    """

    def __init__(self, expression: str) -> None:
        self._sim = _parse(expression)
        sim = self._sim
        # Debian cron's rule: if both day fields are restricted, a day that matches either is enough.
        self.takes_either_day = not sim.day_and
        hours, minutes = sim.parts[2], sim.parts[1]
        # By the first character, as in Debian's cron, and by the values if that hides it (0-23 is *).
        self.follows_the_clock = (
            hours.startswith("*") or minutes.startswith("*") or len(sim.hours) == 24 or len(sim.minutes) == 60
        )
        self._times_a_day = len(sim.hours) * len(sim.minutes) * len(sim.seconds)

    def forward(self, low: datetime, high: datetime) -> Iterator[datetime]:
        """Its wall times in ``low <= wall < high``, first to last."""
        sim = self._at(low - _SECOND, 1)
        while (wall := next(sim, None)) is not None and wall < high:
            yield wall

    def backward(self, low: datetime, high: datetime) -> Iterator[datetime]:
        """Its wall times in ``low <= wall < high``, last to first."""
        sim = self._at(high, -1)
        while (wall := next(sim, None)) is not None and wall >= low:
            yield wall

    def first(self, low: datetime, high: datetime) -> datetime | None:
        return next(self.forward(low, high), None)

    def matches(self, wall: datetime) -> bool:
        return self.first(wall, wall + _SECOND) is not None

    def count(self, low: datetime, high: datetime) -> int:
        """How many wall times ``low <= wall < high`` contains, counted by days and not one by one."""
        if high <= low:
            return 0
        total, day = 0, low.date()
        while day < high.date():
            total += self._times_a_day if self._has_day(day) else 0
            day += timedelta(days=1)
        return total - self._before(low) + self._before(high)

    def _has_day(self, day: date) -> bool:
        return day.month in self._sim.months and self._sim.match_day(day)

    def _before(self, wall: datetime) -> int:
        """How many of its times the day of ``wall`` has before ``wall``."""
        sim = self._sim
        if not self._has_day(wall.date()):
            return 0
        seconds = sum(one < wall.second for one in sim.seconds)
        minutes = sum(one < wall.minute for one in sim.minutes) * len(sim.seconds)
        hours = sum(one < wall.hour for one in sim.hours) * len(sim.minutes) * len(sim.seconds)
        in_hour = minutes + (seconds if wall.minute in sim.minutes else 0)
        return hours + (in_hour if wall.hour in sim.hours else 0)

    def _at(self, wall: datetime, direction: int) -> CronSim:
        # A copy shares the parsed fields, which cronsim never changes, and avoids parsing them again.
        sim = copy.copy(self._sim)
        sim.dt, sim.tick_direction = wall, direction
        return sim


@lru_cache(maxsize=4096)
def calendar(expression: str) -> Calendar:
    return Calendar(expression)


def stretches(read: Calendar, zone: str, *, after: datetime, until: datetime) -> Iterator[Stretch]:
    """The wall clock of ``after < moment <= until`` in order, cut where the clocks change.

    Clocks set forward: the wall times between do not exist. If the expression has one of them, and does not follow the
    clock, the moment of the change is a slot instead: one, however many were skipped. Clocks set back: some wall times
    occur twice. An expression that follows the clock has both, any other the first.
    """
    # In whole seconds: the first one later than `after`, and the first one later than `until`.
    begin, end = (one.replace(microsecond=0) + _SECOND for one in (after, until))
    start = begin - _LOOK_BACK
    offset = offset_at(zone, start)
    low = _wall(start, offset)
    for change in changes(zone, start, end - _SECOND):
        yield from _clipped(low, _wall(change.at, offset), offset, begin)
        was, low = _wall(change.at, change.before), _wall(change.at, change.after)
        offset = change.after
        if read.follows_the_clock:
            continue
        if low < was:
            low = was
        elif read.first(was, low) is not None:
            if change.at >= begin:
                yield Stretch(low, low + _SECOND, offset, moved=True)
            # A slot of the next second, at the gap's end, would be the same moment again.
            low += _SECOND
    yield from _clipped(low, _wall(end, offset), offset, begin)


def _clipped(low: datetime, high: datetime, offset: timedelta, begin: datetime) -> Iterator[Stretch]:
    low = max(low, _wall(begin, offset))
    if low < high:
        yield Stretch(low, high, offset)


def _wall(moment: datetime, offset: timedelta) -> datetime:
    return moment.replace(tzinfo=None) + offset


def _parse(expression: str) -> CronSim:
    fields = spelled_out(expression).split()
    if len(fields) not in (5, 6):
        raise DefinitionError(
            f"Cron({expression!r}) has {len(fields)} field{'s' if len(fields) != 1 else ''}.",
            hint="Write five (minute hour day-of-month month day-of-week) or six, seconds first;"
            f" or one of {', '.join(sorted(ALIASES))}.",
        )
    refuse_long_steps(" ".join(fields))
    try:
        sim = CronSim(" ".join(fields), datetime(2000, 1, 1))  # noqa: DTZ001 - a wall time has no zone
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        if name not in _FIELDS:
            raise DefinitionError(f"Cron({expression!r}) is not a cron expression: {error}.") from None
        value = fields[list(_FIELDS).index(name) - (6 - len(fields))]
        raise DefinitionError(
            f"Cron({expression!r}): {value!r} is not a valid {name}.",
            hint=f"It takes {_FIELDS[name]}; lists 1,2, ranges 1-5 (low to high) and steps */2.",
        ) from None
    except ValueError:
        # Python does not parse a number of 5,000 digits.
        raise DefinitionError(f"Cron({shown(expression)}) has a number that is too large for any field.") from None
    if next(copy.copy(sim), None) is None:
        raise DefinitionError(
            f"Cron({expression!r}) never fires: it matches no day in fifty years.",
            hint="If day-of-month or day-of-week starts with *, both must match; otherwise either.",
        )
    return sim


def spelled_out(expression: str) -> str:
    """The expression in one spelling: single spaces, an alias such as ``@daily`` replaced.

    Raises:
        DefinitionError: not text, or an unknown alias.
    """
    if not isinstance(expression, str):
        raise DefinitionError(f"Cron(…) takes an expression such as '0 3 * * *', got {expression!r}.")
    plain = " ".join(expression.split())
    if not plain.startswith("@"):
        return plain
    known = ALIASES.get(plain.lower())
    if known is None:
        raise DefinitionError(
            f"Cron({expression!r}): unknown alias.",
            hint=f"Write one of {', '.join(sorted(ALIASES))}, or five fields.",
        )
    return known
