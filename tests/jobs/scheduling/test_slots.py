from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time

from jobs.scheduling import zones
from jobs.scheduling.schedule import At, Cron, Every, Schedule
from jobs.scheduling.slots import backlog, jittered, next_slot, slots
from tests.jobs.scheduling.calendar_walk import expected, transitions, walk

STEP = timedelta(minutes=5)
QUARTER = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
ALL = 10**6
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


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


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


@pytest.mark.parametrize(
    "schedule",
    [
        Cron("*/7 * * * *", timezone="Europe/Paris"),
        Cron("15 2 * * *", timezone="Australia/Lord_Howe"),
        Every(timedelta(minutes=13)),
        At(utc("2026-10-25T00:30:00")),
    ],
)
def test_spans_laid_end_to_end_give_each_slot_once(schedule: Schedule) -> None:
    rng = random.Random(7)
    start, end = utc("2026-10-20"), utc("2026-10-30")
    cuts = sorted(start + rng.random() * (end - start) for _ in range(60))
    cuts += slots(schedule, after=start, until=end, limit=5)

    pieces = [start, *sorted(cuts), end]
    found = [one for a, b in pairwise(pieces) for one in slots(schedule, after=a, until=b, limit=ALL)]

    assert found == slots(schedule, after=start, until=end, limit=ALL)
    assert found


def test_a_week_of_seconds_is_counted_and_not_built() -> None:
    after, until = utc("2026-10-20"), utc("2026-10-27")
    schedule = Cron("* * * * * *", timezone="Europe/Paris")
    began = process_time()

    newest = backlog(schedule, after=after, until=until, keep=5)
    first = slots(schedule, after=after, until=until, limit=5)

    assert process_time() - began < 1.0
    assert newest.slots == tuple(until - timedelta(seconds=one) for one in (4, 3, 2, 1, 0))
    assert newest.cut == 7 * 86400 - 5
    assert first == [after + timedelta(seconds=one) for one in (1, 2, 3, 4, 5)]


def test_every_counts_real_time_from_the_epoch_whoever_asks() -> None:
    schedule = Every(timedelta(minutes=90))

    found = slots(schedule, after=utc("2026-03-28T23:01:00"), until=utc("2026-03-29T04:00:00"), limit=ALL)

    assert found == [utc("2026-03-29T00:00:00"), utc("2026-03-29T01:30:00"), utc("2026-03-29T03:00:00")]
    assert all(int(one.timestamp()) % 5400 == 0 for one in found)


def test_every_keeps_to_its_anchor_before_and_after_it() -> None:
    schedule = Every(timedelta(hours=1), anchor=utc("2026-01-01T00:20:00"))

    assert next_slot(schedule, utc("2025-12-31T22:20:00")) == utc("2025-12-31T23:20:00")
    assert backlog(schedule, after=utc("2026-01-01"), until=utc("2026-01-02"), keep=2).cut == 22


def test_no_slot_comes_before_the_start_or_after_the_end() -> None:
    bounds: dict[str, Any] = {"start": utc("2026-05-02"), "end": utc("2026-05-04")}
    span: dict[str, Any] = {"after": utc("2026-01-01"), "until": utc("2027-01-01"), "limit": ALL}

    assert slots(Cron("0 0 * * *", **bounds), **span) == [utc(f"2026-05-0{day}") for day in (2, 3, 4)]
    assert slots(Every(timedelta(days=1), **bounds), **span) == [utc(f"2026-05-0{day}") for day in (2, 3, 4)]
    assert slots(At(utc("2026-05-05"), **bounds), **span) == []
    assert next_slot(Cron("0 0 * * *", **bounds), utc("2026-05-04")) is None


def test_what_comes_once_in_twenty_eight_years_is_found() -> None:
    assert next_slot(Cron("0 0 29 2 */7"), utc("2032-02-29")) == utc("2060-02-29")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        slots(At(utc("2026-01-01")), after=utc("2026-01-01"), until=utc("2026-01-02"), limit=limit)
    with pytest.raises(ValueError, match="1 or more"):
        backlog(Cron("* * * * *"), after=utc("2026-01-01"), until=utc("2026-01-02"), keep=limit)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        next_slot(Cron("* * * * *"), datetime(2026, 1, 1))


def test_jitter_is_the_same_for_all_within_its_bound_and_spread() -> None:
    slot, hour = utc("2026-10-25T00:00:00"), timedelta(hours=1)
    names = [f"report-{number}" for number in range(400)]

    due = [jittered(Cron("@daily", jitter=hour, name=name), slot) for name in names]

    assert due == [jittered(Every(hour, jitter=hour), slot, name=name) for name in names]
    assert all(slot <= one < slot + hour for one in due)
    quarters = [sum((one - slot) // (hour / 4) == quarter for one in due) for quarter in range(4)]
    assert min(quarters) > 60
    assert jittered(Cron("@daily"), slot) == slot


def test_jitter_of_a_known_name_and_slot_never_changes_between_releases() -> None:
    schedule = Cron("@daily", jitter=timedelta(hours=1), name="nightly")

    assert jittered(schedule, utc("2026-10-25T00:00:00")) == utc("2026-10-25T00:09:37.627975")


def test_the_first_slots_until_the_end_of_the_calendar_read_the_clock_changes_of_their_own_years_only():
    zones._changes_of.cache_clear()
    yearly = Cron("0 0 1 1 *", timezone="Asia/Tokyo")

    found = slots(yearly, after=datetime(2026, 11, 1, tzinfo=UTC), until=datetime.max.replace(tzinfo=UTC), limit=3)

    assert [one.year for one in found] == [2026, 2027, 2028]
    assert zones._changes_of.cache_info().currsize <= 5
