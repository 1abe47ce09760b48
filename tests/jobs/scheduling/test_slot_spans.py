"""Slots of spans, intervals and jitter: their starts, ends, limits and order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import process_time
from typing import Any

import pytest

from jobs.scheduling import zones
from jobs.scheduling.schedule import At, Cron, Every, Schedule
from jobs.scheduling.slots import backlog, jittered, next_slot, slots
from tests.jobs.scheduling.moments import ALL, utc


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
