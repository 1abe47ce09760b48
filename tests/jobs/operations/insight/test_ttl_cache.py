"""What is kept on a shelf: for its time, no more than so much, and nothing from before a change."""

from __future__ import annotations

import pytest

from jobs.operations.insight.ttl_cache import TtlCache
from tests.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(clock: ManualClock) -> TtlCache[str]:
    return TtlCache(clock, most=2)


def test_a_value_is_found_until_it_expires(cache: TtlCache[str], clock: ManualClock) -> None:
    cache.put("a", "here", until=2.0, drops=cache.drops)
    clock.at = 1.9
    assert cache.find("a") == "here"
    assert cache.find("b") is None

    clock.at = 2.0

    assert cache.find("a") is None


def test_a_value_whose_computation_began_before_the_cache_was_cleared_is_not_stored(cache: TtlCache[str]) -> None:
    cache.put("a", "old", until=2.0, drops=cache.drops)
    begun = cache.drops
    cache.drop()
    cache.put("b", "read before the change", until=2.0, drops=begun)

    assert len(cache) == 0


def test_the_cache_is_bounded_and_drops_expired_values_first(cache: TtlCache[str], clock: ManualClock) -> None:
    for name in ("a", "b", "c"):
        cache.put(name, name, until=2.0, drops=cache.drops)
    assert [cache.find(name) is not None for name in ("a", "b", "c")] == [True, True, False]
    cache.put("a", "anew", until=3.0, drops=cache.drops)
    assert cache.find("a") == "anew", "what has its place may be made anew"

    clock.at = 2.0
    cache.put("c", "c", until=4.0, drops=cache.drops)

    assert cache.find("c") is not None
