from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.errors import DefinitionError
from jobs.scheduling.schedule import At, Cron, Every, Schedule
from jobs.scheduling.serialize import COLUMNS, describe, from_data, to_data

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
FULL: dict[str, Any] = {
    "name": "eu-report",
    "catch_up": "all",
    "max_catch_up": 7,
    "catch_up_window": timedelta(hours=3, microseconds=1),
    "overlap": "queue_one",
    "jitter": timedelta(milliseconds=1500),
    "start": NOON,
    "end": NOON + timedelta(days=3, microseconds=5),
}
SCHEDULES: list[Schedule] = [
    Cron("@daily"),
    Cron("*/10 30 9 * * mon-fri", timezone="Europe/Paris", **FULL),
    Every(timedelta(days=36499, microseconds=999_999)),
    Every(timedelta(seconds=90), anchor=NOON, **FULL),
    At(NOON, **FULL),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_comes_back_from_json_as_it_was(schedule: Schedule) -> None:
    data = to_data(schedule)

    assert tuple(data) == COLUMNS
    assert from_data(json.loads(json.dumps(data))) == schedule


def test_the_job_is_given_back_by_whoever_stores_it() -> None:
    data = to_data(Cron("@daily", job="SomeJob"))

    assert "job" not in data
    assert from_data(data, job="SomeJob") == Cron("@daily", job="SomeJob")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "type"),
        ({"type": "yearly"}, "'yearly'"),
        ({"type": "cron"}, "'expression'"),
        ({"type": "cron", "expression": "@daily", "interval_seconds": 5}, "no 'interval_seconds'"),
        ({"type": "cron", "expression": "@daily", "colour": "red"}, "no 'colour'"),
        ({"type": "cron", "expression": "@daily", "jitter_seconds": "x"}, "jitter_seconds"),
        ({"type": "cron", "expression": "@daily", "start": "soon"}, "start"),
        ({"type": "cron", "expression": "@daily", "start": "2026-01-01T00:00"}, "no time zone"),
        ({"type": "every", "interval_seconds": 1e300}, "interval_seconds"),
        ({"type": "every", "interval_seconds": 0}, "1 second"),
        ({"type": "at", "moment": None}, "'moment'"),
    ],
)
def test_data_that_is_no_schedule_is_refused(data: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        from_data(data)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Cron("@daily", timezone="Europe/Paris"), "At 00:00 every day (Europe/Paris)"),
        (
            Cron("*/5 * * * *", jitter=timedelta(minutes=1)),
            "Every fifth minute of every hour (UTC), spread over 1m",
        ),
        (Every(timedelta(minutes=90)), "Every 1h30m"),
        (Every(timedelta(hours=1), anchor=NOON), "Every 1h, counted from 2026-06-01 12:00:00 UTC"),
        (At(NOON), "Once, at 2026-06-01 12:00:00 UTC"),
        # K.18: cron's two day fields together mean either.
        (Cron("0 9 1 * MON"), "At 09:00 on the first day of month and on Monday; either day will do (UTC)"),
        (Cron("0 9 */2 * MON"), "At 09:00 on every second day of month if it's on Monday (UTC)"),
        (Cron("0 3 * * mon", start=NOON), "At 03:00 on Monday (UTC), from 2026-06-01 12:00:00 UTC"),
    ],
)
def test_a_schedule_is_described_in_words(schedule: Schedule, words: str) -> None:
    assert describe(schedule) == words


def test_every_accepted_cron_can_be_described_in_words() -> None:
    rng = random.Random(2026)
    pieces = [
        "*",
        "*/2",
        "1",
        "1-5",
        "1,3",
        "1-5/2",
        "0",
        "L",
        "LW",
        "5L",
        "1#2",
        "MON",
        "JAN",
        "7",
        "1,L",
        "L/2",
    ]
    said = 0
    for _ in range(4000):
        expression = " ".join(rng.choice(pieces) for _ in range(rng.choice([5, 6])))
        try:
            schedule = Cron(expression)
        except DefinitionError:
            continue
        said += 1
        assert describe(schedule).endswith("(UTC)")
    assert said > 100
