from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.scheduling.misfires import decide
from jobs.scheduling.schedule import Cron

NOW = datetime(2026, 6, 1, 12, 0, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATE = [NOW - timedelta(seconds=2) - hours * HOUR for hours in (4, 3, 2, 1)]
ON_TIME = NOW - timedelta(seconds=2)


def states(due: list[datetime], live: int = 0, **options: Any) -> str:
    decisions = decide(Cron("0 * * * *", **options), due, now=NOW, live=live)
    assert [one.slot for one in decisions] == due
    assert all(one.why for one in decisions)
    return " ".join(one.state for one in decisions)


@pytest.mark.parametrize(
    ("options", "late", "with_one_on_time"),
    [
        ({"catch_up": "skip"}, "missed missed missed missed", "missed missed missed missed fired"),
        ({"catch_up": "latest"}, "missed missed missed fired", "missed missed missed missed fired"),
        ({"catch_up": "all"}, "fired fired fired fired", "fired fired fired fired fired"),
        (
            {"catch_up": "all", "max_catch_up": 2},
            "missed missed fired fired",
            "missed missed missed fired fired",
        ),
        (
            {"catch_up": "all", "catch_up_window": 2.5 * HOUR},
            "missed missed fired fired",
            "missed missed fired fired fired",
        ),
        (
            {"catch_up": "latest", "catch_up_window": HOUR / 2},
            "missed missed missed missed",
            "missed missed missed missed fired",
        ),
    ],
)
def test_missed_slots_follow_the_policy(options: dict[str, Any], late: str, with_one_on_time: str) -> None:
    assert states(LATE, **options) == late
    assert states([*LATE, ON_TIME], **options) == with_one_on_time


def test_slots_of_one_beat_all_fire_when_they_are_on_time() -> None:
    beat = [NOW - timedelta(seconds=one) for one in (3, 2, 1, 0)]

    assert states(beat, catch_up="skip") == "fired fired fired fired"


@pytest.mark.parametrize(
    ("overlap", "by_live"),
    [
        ("allow", ["fired fired fired"] * 4),
        ("skip", ["fired skipped skipped", "skipped skipped skipped", "skipped skipped skipped"]),
        ("queue_one", ["fired fired skipped", "fired skipped skipped", "skipped skipped skipped"]),
        ("cancel_running", ["skipped skipped fired"] * 3),
    ],
)
def test_an_overlap_is_decided_by_how_many_runs_live(overlap: str, by_live: list[str]) -> None:
    for live, wanted in enumerate(by_live):
        assert states(LATE[-3:], live=live, catch_up="all", overlap=overlap) == wanted


def test_only_a_slot_that_has_something_to_cancel_cancels() -> None:
    schedule = Cron("0 * * * *", overlap="cancel_running")

    assert [one.cancels for one in decide(schedule, [ON_TIME], now=NOW, live=1)] == [True]
    assert [one.cancels for one in decide(schedule, [ON_TIME], now=NOW, live=0)] == [False]


@pytest.mark.parametrize("due", [[ON_TIME, LATE[0]], [ON_TIME, ON_TIME], [NOW + HOUR]])
def test_slots_out_of_order_or_to_come_are_refused(due: list[datetime]) -> None:
    with pytest.raises(ValueError, match="in order"):
        decide(Cron("0 * * * *"), due, now=NOW)


def test_nothing_due_is_nothing_to_decide() -> None:
    assert decide(Cron("0 * * * *"), [], now=NOW) == []
