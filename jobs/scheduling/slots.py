"""The slots of a schedule: pure functions of the schedule and a span of time.

Every span is ``after < slot <= until``, so that consecutive spans give each slot once. The cost depends on the result:
an every-second schedule over a year yields the ``limit`` first or the ``keep`` newest and a count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MINYEAR, UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice

from jobs.errors import DefinitionError
from jobs.scheduling.cron import Stretch, calendar, stretches
from jobs.scheduling.schedule import EPOCH, At, Cron, Every, Schedule
from jobs.scheduling.zones import FIRST_YEAR, LAST_YEAR

_FIRST = datetime(FIRST_YEAR, 1, 4, tzinfo=UTC)
_LAST = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_YEAR = timedelta(days=366)
_HORIZON = timedelta(days=366 * 50)
"""How far ``next_slot`` searches a Cron. Source: an accepted expression fires within fifty years."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The slots that became due in a span: the newest ``slots``, in order, and the number of older ones (``cut``)."""

    slots: tuple[datetime, ...]
    cut: int


def slots(schedule: Schedule, *, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """The first ``limit`` slots of ``after < slot <= until``: UTC, in order, without duplicates.

    Raises:
        ValueError: a naive moment, or a limit below 1.
    """
    return list(islice(_forward(schedule, *_span(schedule, after, until)), _positive(limit, "limit")))


def next_slot(schedule: Schedule, after: datetime) -> datetime | None:
    """The first slot later than ``after``, or None if there is none."""
    _check_aware(after)
    until = _LAST
    if isinstance(schedule, Cron):
        until = min(max(after, schedule.start or after, _FIRST), _LAST - _HORIZON) + _HORIZON
    return next(_forward(schedule, *_span(schedule, after, until)), None)


def backlog(schedule: Schedule, *, after: datetime, until: datetime, keep: int) -> Backlog:
    """The newest ``keep`` slots of ``after < slot <= until``, and how many there were before them.

    Raises:
        ValueError: a naive moment, or ``keep`` below 1.
    """
    after, until = _span(schedule, after, until)
    _positive(keep, "keep")
    newest: list[datetime] = []
    total = 0
    match schedule:
        case Cron():
            for stretch in reversed(list(_stretches(schedule, after, until))):
                total += _count(schedule, stretch)
                newest += islice(_backward(schedule, stretch), keep - len(newest))
        case Every():
            first, last = _indexes(schedule, after, until)
            total = max(0, last - first + 1)
            newest = [_nth(schedule, last - one) for one in range(min(total, keep))]
        case At():
            newest = list(_forward(schedule, after, until))
            total = len(newest)
    return Backlog(slots=tuple(reversed(newest)), cut=total - len(newest))


def jittered(schedule: Schedule, slot: datetime, *, name: str | None = None) -> datetime:
    """When the run of this slot is due: ``slot <= due < slot + jitter``, or the slot itself without jitter.

    It depends only on the name and the slot, so every scheduler computes the same moment, and schedules of one
    expression spread.

    Args:
        name: name of a schedule that has none of its own (a job's kind).

    Raises:
        DefinitionError: there is no name from which to compute the jitter.
    """
    _check_aware(slot)
    if schedule.jitter is None:
        return slot
    called = schedule.name or name
    if not called:
        raise DefinitionError("A schedule with jitter needs a name, from which the jitter is computed.")
    text = f"{called}\n{slot.astimezone(UTC).isoformat()}"
    drawn = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
    return slot + (schedule.jitter // _TICK) * drawn // 2**64 * _TICK


def _forward(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    match schedule:
        case Cron():
            read = calendar(schedule.expression)
            for stretch in _stretches_year_by_year(schedule, after, until):
                if stretch.moved:
                    yield stretch.moment(stretch.low)
                else:
                    yield from map(stretch.moment, read.forward(stretch.low, stretch.high))
        case Every():
            first, last = _indexes(schedule, after, until)
            yield from (_nth(schedule, index) for index in range(first, last + 1))
        case At():
            if after < schedule.moment <= until:
                yield schedule.moment


def _backward(schedule: Cron, stretch: Stretch) -> Iterator[datetime]:
    if stretch.moved:
        return iter([stretch.moment(stretch.low)])
    return map(stretch.moment, calendar(schedule.expression).backward(stretch.low, stretch.high))


def _count(schedule: Cron, stretch: Stretch) -> int:
    return 1 if stretch.moved else calendar(schedule.expression).count(stretch.low, stretch.high)


def _stretches(schedule: Cron, after: datetime, until: datetime) -> Iterator[Stretch]:
    if until <= after:
        return iter(())
    return stretches(calendar(schedule.expression), schedule.timezone, after=after, until=until)


def _stretches_year_by_year(schedule: Cron, after: datetime, until: datetime) -> Iterator[Stretch]:
    """Read clock changes only as far as slots are wanted: a zone without changes has one stretch until ``until``."""
    while after < until:
        end = after + _YEAR if until - after > _YEAR else until
        yield from _stretches(schedule, after, end)
        after = end


def _indexes(schedule: Every, after: datetime, until: datetime) -> tuple[int, int]:
    """The first and the last multiple of the interval in the span."""
    anchor = schedule.anchor or EPOCH
    return (after - anchor) // schedule.interval + 1, (until - anchor) // schedule.interval


def _nth(schedule: Every, index: int) -> datetime:
    return (schedule.anchor or EPOCH) + index * schedule.interval


def _span(schedule: Schedule, after: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The span in UTC, within the schedule's own bounds and ours."""
    _check_aware(after)
    _check_aware(until)
    start = _FIRST if schedule.start is None else max(_FIRST, schedule.start)
    end = _LAST if schedule.end is None else min(_LAST, schedule.end)
    return max(_in_utc(after), start - _TICK), min(_in_utc(until), end)


def just_before(moment: datetime) -> datetime:
    """The moment to pass as ``after``, so that ``slots`` begins with ``moment`` itself.

    The calendar's first moment is returned unchanged.
    """
    try:
        return moment - _TICK
    except OverflowError:
        return moment


def _in_utc(moment: datetime) -> datetime:
    """``moment`` in UTC; our own bound if UTC cannot express it, at either end of the calendar."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == MINYEAR else _LAST


def _check_aware(moment: datetime) -> None:
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no time zone, so it is not a moment")


def _positive(number: int, name: str) -> int:
    if number < 1:
        raise ValueError(f"{name} must be 1 or more, got {number}")
    return number
