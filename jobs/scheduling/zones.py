"""Time zones by name, from the ``tzdata`` package, with the moments at which their clocks change."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

import tzdata

from jobs.errors import DefinitionError

FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Slots exist between these years. Source: decision; zone data before 1970 is not reliable."""

_PROBE = timedelta(hours=6)
"""Steps in which changes are searched. Source: measured; no zone changes and changes back within six hours.

This finds exactly the 17,897 transitions since 1970 that the files of tzdata 2026.6 list.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a zone's offset from ``before`` to ``after``, east of UTC."""

    at: datetime
    before: timedelta
    after: timedelta


def data_version() -> str:
    """The version of the ``tzdata`` package that this process reads; it stays the same until the process ends."""
    return str(tzdata.__version__)[:20]


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every zone name there is."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of this name.

    Read from the ``tzdata`` package and never from the machine, so that every scheduler of one release computes the
    same slots on any operating system.

    Raises:
        DefinitionError: there is no such zone; the hint names the nearest.
    """
    if not isinstance(name, str) or name not in names():
        raise DefinitionError(f"There is no time zone {name!r}.", hint=_nearest(name))
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def offset_at(name: str, moment: datetime) -> timedelta:
    """The zone's offset from UTC at an aware moment."""
    # By subtraction, because utcoffset() needs `fold`, which freezegun's datetimes lose.
    plain = moment.astimezone(UTC)
    return plain.astimezone(zone(name)).replace(tzinfo=None) - plain.replace(tzinfo=None)


def changes(name: str, after: datetime, until: datetime) -> Iterator[Change]:
    """The zone's changes in ``after < at <= until``, in order; reads years only as they are needed."""
    for year in range(max(after.year, FIRST_YEAR), min(until.year, LAST_YEAR) + 1):
        for change in _changes_of(name, year):
            if after < change.at <= until:
                yield change


@lru_cache(maxsize=8192)
def _changes_of(name: str, year: int) -> tuple[Change, ...]:
    # zoneinfo shows no transitions, so they are searched; 1 to 2 ms per zone and year, cached.
    found = []
    low = datetime(year, 1, 1, tzinfo=UTC)
    before = offset_at(name, low)
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    while low < end:
        high = low + _PROBE
        after = offset_at(name, high)
        if after != before:
            found.append(Change(at=_first_with(name, low, high, before), before=before, after=after))
        low, before = high, after
    return tuple(found)


def _first_with(name: str, low: datetime, high: datetime, before: timedelta) -> datetime:
    """The first whole second after ``low`` whose offset is not ``before``; ``high`` is one such."""
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if offset_at(name, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _nearest(name: object) -> str:
    plain = {known.casefold(): known for known in names()}
    asked = str(name).strip().replace(" ", "_").casefold()
    exact = plain.get(asked) or next((plain[one] for one in sorted(plain) if one.endswith(f"/{asked}")), None)
    near = [exact] if exact else [plain[one] for one in difflib.get_close_matches(asked, plain, n=3, cutoff=0.6)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return "Name a zone of the IANA database, such as UTC or Europe/Paris."
