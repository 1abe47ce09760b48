"""What a schedule should do, found without the code under test.

Real time is walked step by step, and each step is read off the zone's clock by zoneinfo. Also a zone's
transitions, read from its file; after the last one there, where only a rule is left, found by such a walk.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

Step = tuple[datetime, datetime]


def walk(zone: str, start: datetime, end: datetime, step: timedelta) -> list[Step]:
    """Every ``(moment, wall time)`` from start (in) to end (out)."""
    info = ZoneInfo(zone)
    steps = []
    moment = start
    while moment < end:
        steps.append((moment, moment.astimezone(info).replace(tzinfo=None, fold=0)))
        moment += step
    return steps


def expected(
    steps: list[Step],
    step: timedelta,
    *,
    hours: set[int],
    minutes: set[int],
    day: Callable[[date], bool],
    fixed: bool,
) -> list[datetime]:
    """The documented rule in its plainest words.

    Due when the clock shows a time that is asked for. With fixed hours: not if the clock has shown it before;
    and if the clock has jumped over one that is asked for, due when it has jumped.
    """

    def asked(wall: datetime) -> bool:
        return wall.minute in minutes and wall.hour in hours and day(wall.date())

    due: list[datetime] = []
    shown = steps[0][1]
    for moment, wall in steps:
        if not fixed:
            if asked(wall):
                due.append(moment)
            continue
        skipped = shown + step
        jumped_over = False
        while skipped < wall and not jumped_over:
            jumped_over = asked(skipped)
            skipped += step
        if jumped_over or (asked(wall) and (wall > shown or moment == steps[0][0])):
            due.append(moment)
        shown = max(shown, wall)
    return due


def transitions(zone: str, since: datetime, until: datetime) -> list[datetime]:
    """The moments in ``since < moment <= until`` at which the zone's offset changes."""
    found, last = in_file(zone)
    info, stride, minute = ZoneInfo(zone), timedelta(hours=3), timedelta(minutes=1)
    moment = max(last, since).replace(minute=0, second=0) if last else until
    before = moment.astimezone(info).utcoffset()
    while moment < until:
        if (after := (moment + stride).astimezone(info).utcoffset()) != before:
            at = moment
            while at.astimezone(info).utcoffset() == before:
                at += minute
            found.append(at)
        moment, before = moment + stride, after
    return [one for one in dict.fromkeys(found) if since < one <= until]


def in_file(zone: str) -> tuple[list[datetime], datetime | None]:
    """The changes of offset that the zone's file lists, and the last moment that it lists."""
    data = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()
    head = struct.Struct(">4s c 15x 6l")

    def counts(at: int) -> tuple[int, ...]:
        return head.unpack_from(data, at)[2:]

    isut, isstd, leap, time, kinds, chars = counts(0)
    second = 44 + time * 5 + kinds * 6 + chars + leap * 8 + isstd + isut
    _, _, _, time, kinds, _ = counts(second)
    at = second + 44
    moments = struct.unpack_from(f">{time}q", data, at)
    used = data[at + time * 8 : at + time * 9]
    offsets = [struct.unpack_from(">l", data, at + time * 9 + one * 6)[0] for one in range(kinds)]
    found, before = [], offsets[0]
    for moment, kind in zip(moments, used, strict=True):
        if offsets[kind] != before:
            before = offsets[kind]
            found.append(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment))
    return found, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moments[-1]) if moments else None
