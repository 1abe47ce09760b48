"""What is kept on a shelf: for its time, no more than so much, and nothing from before a change."""

from __future__ import annotations

import pytest

from jobs.operations.shelf import Shelf
from tests.hands import Hands


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def shelf(clock: Hands) -> Shelf[str]:
    return Shelf(clock, most=2)


def test_a_thing_is_found_until_it_is_over(shelf: Shelf[str], clock: Hands) -> None:
    shelf.put("a", "here", until=2.0, drops=shelf.drops)
    clock.at = 1.9
    assert shelf.find("a") == "here"
    assert shelf.find("b") is None

    clock.at = 2.0

    assert shelf.find("a") is None


def test_what_was_begun_before_all_was_forgotten_is_not_kept(shelf: Shelf[str]) -> None:
    shelf.put("a", "old", until=2.0, drops=shelf.drops)
    begun = shelf.drops
    shelf.drop()
    shelf.put("b", "read before the change", until=2.0, drops=begun)

    assert len(shelf) == 0


def test_so_many_are_kept_and_room_is_made_of_what_is_over(shelf: Shelf[str], clock: Hands) -> None:
    for name in ("a", "b", "c"):
        shelf.put(name, name, until=2.0, drops=shelf.drops)
    assert [shelf.find(name) is not None for name in ("a", "b", "c")] == [True, True, False]
    shelf.put("a", "anew", until=3.0, drops=shelf.drops)
    assert shelf.find("a") == "anew", "what has its place may be made anew"

    clock.at = 2.0
    shelf.put("c", "c", until=4.0, drops=shelf.drops)

    assert shelf.find("c") is not None
