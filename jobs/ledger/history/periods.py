"""The periods of partitions: a month, a week from Monday, or a day, each in UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAY = timedelta(days=1)
FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""Runs that ended before do not move: their clock was wrong. Source: decision; long before the first release."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From ``begin``, up to ``end`` without it."""

    begin: datetime
    end: datetime

    @property
    def suffix(self) -> str:
        """The end of a partition's name."""
        return f"{self.begin:%Y%m%d}"


def period_of(moment: datetime, length: str) -> Period:
    """The period with ``moment`` in it.

    Args:
        length: ``month``, ``week`` or ``day``.
    """
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if length == "day":
        return Period(day, day + DAY)
    if length == "week":
        begin = day - day.weekday() * DAY
        return Period(begin, begin + 7 * DAY)
    begin = day.replace(day=1)
    return Period(begin, (begin + 32 * DAY).replace(day=1))


def part_around(moment: datetime, length: str, taken: Iterable[Period]) -> Period:
    """The period with ``moment`` in it, without the parts that other periods have: the length may have changed.

    Args:
        taken: periods without ``moment``.
    """
    period = period_of(moment, length)
    begin = max([period.begin, *(one.end for one in taken if one.end <= moment)])
    end = min([period.end, *(one.begin for one in taken if one.begin > moment)])
    return Period(begin, end)
