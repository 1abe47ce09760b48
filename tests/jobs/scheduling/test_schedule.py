from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.errors import DefinitionError
from jobs.scheduling.schedule import At, Cron, Every

HOUR = timedelta(hours=1)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Cron("0 25 * * *"), "'25' is not a valid hour"),
        (lambda: Cron("60 0 * * *"), "'60' is not a valid minute"),
        (lambda: Cron("99 0 0 * * *"), "'99' is not a valid second"),
        (lambda: Cron("0 0 0 * *"), "'0' is not a valid day-of-month"),
        (lambda: Cron("0 0 * 13 *"), "'13' is not a valid month"),
        (lambda: Cron("0 0 * * FRI-MON"), "'FRI-MON' is not a valid day-of-week"),
        (lambda: Cron("0 0 ? * *"), "'?' is not a valid day-of-month"),
        (lambda: Cron("*/0 * * * *"), "'*/0' is not a valid minute"),
        (lambda: Cron("0 0 30 2 *"), "'30' is not a valid day-of-month"),
        (lambda: Cron("0 0 */5 2 1#5"), "never fires"),
        (lambda: Cron("9" * 5000 + " * * * *"), "a number that is too large for any field"),
        (lambda: Cron("0 0 * * MON#" + "9" * 5000), "a number that is too large for any field"),
        (lambda: Cron("* * *"), "has 3 fields"),
        (lambda: Cron("0 0 0 1 1 * 2026"), "has 7 fields"),
        (lambda: Cron(""), "has 0 fields"),
        (lambda: Cron("@reboot"), "@daily"),
        (lambda: Cron(5), "takes an expression"),  # type: ignore[arg-type]
        (lambda: Cron("@daily", timezone="Europe/Pari"), "Did you mean Europe/Paris"),
        (lambda: Cron("@daily", catch_up="some"), "latest, skip, all"),  # type: ignore[arg-type]
        (lambda: Cron("@daily", overlap="none"), "queue_one"),  # type: ignore[arg-type]
        (lambda: Cron("@daily", max_catch_up=0), "1 or more"),
        (lambda: Cron("@daily", max_catch_up=True), "1 or more"),
        (lambda: Cron("@daily", catch_up_window=timedelta(0)), "above zero"),
        (lambda: Cron("@daily", jitter=-HOUR), "above zero"),
        (lambda: Cron("@daily", jitter=60), "timedelta"),  # type: ignore[arg-type]
        (lambda: Cron("@daily", start=datetime(2026, 1, 1)), "no time zone"),
        (lambda: Cron("@daily", start=NEW_YEAR, end=NEW_YEAR - HOUR), "before its start"),
        (lambda: Cron("@daily", name=""), "name"),
        (lambda: Cron("@daily", name="a\x1b[2J"), "printable"),
        (lambda: Cron("@daily", name="x" * 201), "200"),
        (lambda: Every(timedelta(milliseconds=1)), "1 second or more"),
        (lambda: Every(timedelta.max), "a hundred years"),
        (lambda: Every(60), "timedelta"),  # type: ignore[arg-type]
        (lambda: Every(HOUR, anchor=datetime(2026, 1, 1)), "no time zone"),
        (lambda: At(datetime(2026, 1, 1)), "no time zone"),
        (lambda: At("2026-01-01"), "aware datetime"),  # type: ignore[arg-type]
        (lambda: At(datetime(1, 1, 1, tzinfo=UTC)), "year"),
    ],
)
def test_an_invalid_schedule_is_refused_with_the_reason(make: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        make()

    assert said in str(caught.value)


def test_a_schedule_is_a_value() -> None:
    paris = At(datetime(2026, 1, 1, 1, tzinfo=ZoneInfo("Europe/Paris")))

    assert paris == At(NEW_YEAR)
    assert hash(Cron("@daily", job={"unhashable": 1})) == hash(Cron("@daily", job={"unhashable": 1}))
    assert Cron("@daily", timezone="Europe/Paris") != Cron("@daily")
    with pytest.raises(FrozenInstanceError):
        paris.moment = NEW_YEAR  # type: ignore[misc]
