"""How many runs are claimed ahead, by the recent durations of the kinds."""

from __future__ import annotations

import pytest

from tests.manual_clock import ManualClock
from worker.exchange.prefetch import PrefetchLimit


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def ended(limit: PrefetchLimit, clock: ManualClock, *, rounds: int = 10, **seconds_of: list[float]) -> None:
    """Attempts of these kinds ended in each of some rounds, every 20 ms."""
    for _ in range(rounds):
        clock.at += 0.02
        limit.record({("default", kind): seconds for kind, seconds in seconds_of.items()})
    clock.at += 0.03


def test_short_runs_are_claimed_ahead_by_their_rate(clock: ManualClock) -> None:
    limit = PrefetchLimit(8, clock)

    ended(limit, clock, Short=[0.01] * 100)

    # 1,000 within half a second, and a tenth of a second ahead.
    assert limit.ahead(["default"]) == 200


def test_one_slow_run_among_many_short_ones_changes_little(clock: ManualClock) -> None:
    limit = PrefetchLimit(8, clock)
    ended(limit, clock, Short=[0.01] * 100)

    ended(limit, clock, rounds=1, Gathers=[2.0])

    assert limit.ahead(["default"]) == 200
    assert limit.typical_seconds(["default"]) == 0.01


def test_slow_runs_that_are_a_part_of_the_load_are_not_claimed_ahead(clock: ManualClock) -> None:
    limit = PrefetchLimit(8, clock)

    ended(limit, clock, Short=[0.01] * 20, Slow=[2.0])

    assert limit.ahead(["default"]) == 0
    assert limit.typical_seconds(["default"]) == 2.0


def test_once_only_slow_runs_end_nothing_is_claimed_ahead(clock: ManualClock) -> None:
    limit = PrefetchLimit(8, clock)
    ended(limit, clock, Short=[0.01] * 100)

    clock.at += 1
    ended(limit, clock, rounds=1, Slow=[2.0] * 8)

    assert limit.ahead(["default"]) == 0
