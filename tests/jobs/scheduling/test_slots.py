"""Slots of cron expressions, counted along the clock of many zones, around each change of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time

from jobs.scheduling.schedule import Cron, Schedule
from jobs.scheduling.slots import backlog, next_slot, slots
from tests.jobs.scheduling.calendar_walk import expected, transitions, walk
from tests.jobs.scheduling.moments import ALL, utc

STEP = timedelta(minutes=5)
QUARTER = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
WHOLE_YEARS = [
    ("Europe/Paris", 2024),
    ("America/New_York", 2024),
    ("Australia/Lord_Howe", 2026),
    ("Asia/Kolkata", 2024),
    ("UTC", 2024),
]
FORTY = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "Africa/Tripoli",
    "America/Asuncion",
    "America/Bogota",
    "America/Caracas",
    "America/Chicago",
    "America/Godthab",
    "America/Havana",
    "America/Los_Angeles",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "America/St_Johns",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Damascus",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Dublin",
    "Europe/Istanbul",
    "Europe/London",
    "Europe/Moscow",
    "Europe/Paris",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Easter",
]


def any_day(day: date) -> bool:
    return True


def last_sunday(day: date) -> bool:
    return day.isoweekday() == 7 and (day + timedelta(days=7)).month != day.month


HOURS = set(range(24))
# Expression, then what it means, written by hand: hours, minutes, day, and whether its hours are fixed.
CASES: list[tuple[str, set[int], set[int], Callable[[date], bool], bool]] = [
    ("30 2 * * *", {2}, {30}, any_day, True),
    ("0 30 2 * * *", {2}, {30}, any_day, True),
    ("0 0 * * *", {0}, {0}, any_day, True),
    ("@daily", {0}, {0}, any_day, True),
    ("0,45 1-3 * * *", {1, 2, 3}, {0, 45}, any_day, True),
    ("45 2,3 * * mon-fri", {2, 3}, {45}, lambda day: day.isoweekday() < 6, True),
    ("15 1 29 FEB *", {1}, {15}, lambda day: (day.month, day.day) == (2, 29), True),
    ("30 1 L * *", {1}, {30}, lambda day: (day + timedelta(days=1)).day == 1, True),
    ("30 2 31 * *", {2}, {30}, lambda day: day.day == 31, True),
    (
        "15 2 * * 7L",
        {2},
        {15},
        last_sunday,
        True,
    ),
    ("0 9 1 * MON", {9}, {0}, lambda day: day.day == 1 or day.isoweekday() == 1, True),
    ("0 * * * *", HOURS, {0}, any_day, False),
    ("45 0-23 * * *", HOURS, {45}, any_day, False),
    ("*/15 * * * *", HOURS, {0, 15, 30, 45}, any_day, False),
    ("0 */15 1-2 * * *", {1, 2}, {0, 15, 30, 45}, any_day, False),
    ("30 */2 * * *", set(range(0, 24, 2)), {30}, any_day, False),
]


@pytest.mark.parametrize(("zone", "year"), WHOLE_YEARS)
def test_a_year_of_slots_equals_a_count_along_the_clock(zone: str, year: int) -> None:
    steps = walk(zone, utc(f"{year}-01-01"), utc(f"{year + 1}-01-01"), QUARTER)
    span: dict[str, Any] = {"after": steps[0][0] - timedelta(seconds=1), "until": steps[-1][0], "limit": ALL}

    # Half of them frozen in an hour that comes twice, to show that nothing depends on when it is asked. (All
    # of them would take too long with freezegun's datetimes.)
    with freeze_time(datetime(year, 10, 25, 0, 30)):
        found = [slots(Cron(case[0], timezone=zone), **span) for case in CASES if case[-1]]
    found += [slots(Cron(case[0], timezone=zone), **span) for case in CASES if not case[-1]]

    for (expression, hours, minutes, day, fixed), due in zip(CASES, found, strict=True):
        assert due == expected(steps, QUARTER, hours=hours, minutes=minutes, day=day, fixed=fixed), expression
        assert due or "FEB" in expression


@pytest.mark.parametrize("zone", FORTY)
def test_around_every_change_of_eight_years_each_slot_comes_exactly_once(zone: str) -> None:
    rng = random.Random(zone)
    for change in transitions(zone, utc("2010-12-01"), utc("2018-12-01")):
        # Some zones change at one minute past the hour.
        step = MINUTE if change.minute % 5 else STEP
        start = change.replace(minute=0) - timedelta(hours=15)
        steps = walk(zone, start, change + timedelta(hours=12), step)
        for fixed in (True, False):
            hours = {rng.randrange(24) for _ in range(3)} | {0, 1, 2}
            minutes = {rng.randrange(0, 60, 5) for _ in range(2)}
            if not fixed:
                hours = HOURS
            expression = f"{_list(minutes)} {_list(hours) if fixed else '*'} * * *"
            schedule = Cron(expression, timezone=zone)
            wanted = expected(steps, step, hours=hours, minutes=minutes, day=any_day, fixed=fixed)
            # What the clock showed before the walk began is not known to the walk.
            wanted = [one for one in wanted if one > start + timedelta(hours=3)]
            span = {"after": start + timedelta(hours=3), "until": steps[-1][0]}

            found = slots(schedule, limit=ALL, **span)

            assert found == wanted, (expression, change)
            assert not fixed or one_by_one(schedule, **span) == wanted
            newest = backlog(schedule, keep=3, **span)
            assert (list(newest.slots), newest.cut) == (wanted[-3:], max(0, len(wanted) - 3))


def _list(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def one_by_one(schedule: Schedule, *, after: datetime, until: datetime) -> list[datetime]:
    found = []
    while (slot := next_slot(schedule, after)) is not None and slot <= until:
        found.append(slot)
        after = slot
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "day", "fires"),
    [
        ("30 2 * * *", "Europe/Paris", "2026-03-29", ["2026-03-29T03:00+02:00"]),
        ("0 30 2 * * *", "Europe/Paris", "2026-03-29", ["2026-03-29T03:00+02:00"]),
        ("30 2 * * *", "Europe/Paris", "2026-10-25", ["2026-10-25T02:30+02:00"]),
        ("0 30 2 * * *", "Europe/Paris", "2026-10-25", ["2026-10-25T02:30+02:00"]),
        ("0-59/5 2 * * *", "Europe/Paris", "2026-03-29", ["2026-03-29T03:00+02:00"]),
        ("0 2,3 * * *", "Europe/Paris", "2026-03-29", ["2026-03-29T03:00+02:00"]),
        ("*/30 2 * * *", "Europe/Paris", "2026-03-29", []),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["2026-11-01T01:30-04:00"]),
        ("30 2 * * *", "America/New_York", "2026-03-08", ["2026-03-08T03:00-04:00"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["2026-10-04T02:30+11:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["2026-04-05T01:45+11:00"]),
        ("0 3 * * *", "Pacific/Chatham", "2026-09-27", ["2026-09-27T03:45+13:45"]),
        ("30 1,2 * * *", "Antarctica/Troll", "2026-03-29", ["2026-03-29T03:00+02:00"]),
        ("0 0 * * *", "Africa/Cairo", "2026-04-24", ["2026-04-24T01:00+03:00"]),
        ("30 9 30 12 *", "Pacific/Apia", "2011-12-31", ["2011-12-31T00:00+14:00"]),
        ("30 9 * * *", "Pacific/Apia", "2011-12-31", ["2011-12-31T00:00+14:00", "2011-12-31T09:30+14:00"]),
        ("0 0 29 2 *", "UTC", "2028-02-29", ["2028-02-29T00:00+00:00"]),
        ("0 0 29 2 *", "UTC", "2026-02-28", []),
        ("59 59 23 31 12 *", "Asia/Kolkata", "2026-12-31", ["2026-12-31T23:59:59+05:30"]),
    ],
)
def test_a_day_fires_at(expression: str, zone: str, day: str, fires: list[str]) -> None:
    info = ZoneInfo(zone)
    midnight = datetime.fromisoformat(day).replace(tzinfo=info)
    until = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=info) - MINUTE / 60

    found = slots(Cron(expression, timezone=zone), after=midnight.astimezone(UTC) - MINUTE / 60, until=until, limit=ALL)

    assert found == [datetime.fromisoformat(one) for one in fires]
    assert all(one.tzinfo is UTC for one in found)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_an_hourly_job_fires_every_real_hour(day: str, hours: int) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Paris")).astimezone(UTC)

    found = slots(
        Cron("0 * * * *", timezone="Europe/Paris"),
        after=midnight - MINUTE,
        until=midnight + timedelta(hours=hours) - MINUTE,
        limit=ALL,
    )

    assert found == [midnight + timedelta(hours=hour) for hour in range(hours)]
