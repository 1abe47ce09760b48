"""Steps longer than their field (K.14)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from jobs.errors import DefinitionError
from jobs.scheduling.cron_step import shorten_steps
from jobs.scheduling.schedule import Cron
from jobs.scheduling.serialize import parse_data, write_data
from jobs.scheduling.slots import slots

START = datetime(2026, 1, 1, tzinfo=UTC)
LONG = [
    ("*/90 * * * *", "minute", "Every(timedelta(minutes=90))", "--every 90m"),
    ("0 */36 * * *", "hour", "Every(timedelta(hours=36))", "--every 36h"),
    ("0 0 */45 * *", "day-of-month", "Every(timedelta(days=45))", "--every 45d"),
    ("0 0 * * */10", "day-of-week", "Every(timedelta(days=10))", "--every 10d"),
    ("*/90 * * * * *", "second", "Every(timedelta(seconds=90))", "--every 90s"),
    ("0 */61 * * * *", "minute", "Every(timedelta(minutes=61))", "--every 61m"),
    ("0 0 1 */18 *", "month", "JAN,JUL", "days="),
    ("5/90 * * * *", "minute", "Every(timedelta(minutes=90))", "--every 90m"),
    ("0,*/90 * * * *", "minute", "Every(timedelta(minutes=90))", "--every 90m"),
    ("0-30/75 * * * *", "minute", "Every(timedelta(minutes=75))", "--every 75m"),
    ("*/0090 * * * *", "minute", "Every(timedelta(minutes=90))", "--every 90m"),
    ("0 0 * * MON/9", "day-of-week", "Every(timedelta(days=9))", "--every 9d"),
    ("*/" + "9" * 5000 + " * * * *", "minute", "a hundred years", "at most"),
]


@pytest.mark.parametrize(("expression", "field", "hint", "option"), LONG, ids=[one[0][:20] for one in LONG])
def test_a_step_beyond_its_field_is_refused_with_the_interval_that_it_means(
    expression: str, field: str, hint: str, option: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        Cron(expression)

    assert f"longer than its field: {field} has" in caught.value.message
    assert hint in (caught.value.hint or "")
    assert option in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("*/60 * * * * *", timedelta(minutes=1)),
        ("*/60 * * * *", timedelta(hours=1)),
        ("0 */24 * * *", timedelta(days=1)),
        ("0 0 * * */7", timedelta(days=7)),
        ("*/15 * * * *", timedelta(minutes=15)),
    ],
)
def test_a_step_of_the_whole_field_does_what_it_says(expression: str, interval: timedelta) -> None:
    found = slots(Cron(expression), after=START, until=START + timedelta(days=30), limit=4)

    assert {other - one for one, other in pairwise(found)} == {interval}


@pytest.mark.parametrize("expression", ["0 0 */31 * *", "0 0 1 */12 *"])
def test_the_largest_step_of_days_and_months_is_taken(expression: str) -> None:
    Cron(expression)


@pytest.mark.parametrize(
    ("stored", "today"),
    [
        ("*/90 * * * *", "*/60 * * * *"),
        ("0 */36 * * *", "0 */24 * * *"),
        ("0,5/99 1 */45 */18 */8", "0,5/60 1 */31 */12 */7"),
        ("*/90 */15 * * * MON#2", "*/60 */15 * * * MON#2"),
    ],
)
def test_a_schedule_that_an_earlier_release_stored_goes_on(stored: str, today: str) -> None:
    text = write_data(Cron("* * * * *")).replace("* * * * *", stored)

    assert shorten_steps(stored) == today
    assert parse_data(text) == Cron(today)
