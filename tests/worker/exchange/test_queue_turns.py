"""In which order queues are served (K2.17)."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from jobs.formats.queue_weights import MAX_WEIGHT, Served, read_served
from worker.exchange.queue_turns import Turns


class Queues:
    """Queues with runs, claimed from as a source does."""

    def __init__(self, turns: Turns, **waiting: int) -> None:
        self.turns = turns
        self.waiting = waiting

    def claim(self, count: int) -> list[str]:
        order, got = self.turns.order(), list[str]()
        for name in order:
            some = min(self.waiting[name], count - len(got))
            self.waiting[name] -= some
            got += [name] * some
        self.turns.took(order, got, count=count)
        return got


@pytest.mark.parametrize(
    ("words", "served"),
    [
        (("mail", "reports"), [Served("mail"), Served("reports")]),
        (("mail:3", "reports"), [Served("mail", 3), Served("reports")]),
        (("mail:3:1",), [Served("mail:3", 1)]),
        (("shop:mail",), [Served("shop:mail")]),
        (("mail:",), [Served("mail:")]),
        ((f"a:{MAX_WEIGHT}", "b:01"), [Served("a", MAX_WEIGHT), Served("b", 1)]),
        ((), []),
    ],
)
def test_a_weight_follows_the_last_colon(words: tuple[str, ...], served: list[Served]) -> None:
    assert read_served(words) == served


@pytest.mark.parametrize(
    "words", [("a:0",), (f"a:{MAX_WEIGHT + 1}",), (":3",), ("a:" + "9" * 5000,), ("a:2", "a"), ("a", "a")]
)
def test_a_weight_that_cannot_be_and_a_queue_named_twice_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"from 1 to|twice"):
        read_served(words)


def test_queues_without_weights_are_served_strictly_in_order() -> None:
    queues = Queues(Turns(read_served(["a", "b"])), a=50, b=50)

    assert [queues.claim(10) for _ in range(10)] == [["a"] * 10] * 5 + [["b"] * 10] * 5


def test_weights_are_a_smooth_round_robin() -> None:
    queues = Queues(Turns(read_served(["a:5", "b:1", "c"])), a=99, b=99, c=99)

    assert "".join(queues.claim(1)[0] for _ in range(14)) == "aabacaa" * 2


@pytest.mark.parametrize("seed", range(5))
def test_runs_are_shared_by_weight_however_large_the_claims_are(seed: int) -> None:
    rng = random.Random(seed)
    queues = Queues(Turns(read_served(["a:6", "b:3", "c:1"])), a=10**6, b=10**6, c=10**6)
    sizes = [[1, 8], [8, 1], [3, 1, 20]][seed % 3] if seed < 3 else [rng.randint(1, 40) for _ in range(50)]

    got: Counter[str] = Counter()
    for turn in range(600):
        got.update(queues.claim(sizes[turn % len(sizes)]))

    shares = {name: got[name] / got.total() for name in "abc"}
    assert shares == pytest.approx({"a": 0.6, "b": 0.3, "c": 0.1}, abs=0.02)


def test_a_queue_that_was_empty_neither_catches_up_nor_pays() -> None:
    turns = Turns(read_served(["a:3", "b:1"]))
    queues = Queues(turns, a=0, b=5000)
    for _ in range(500):
        assert queues.claim(5) == ["b"] * 5

    queues.waiting.update(a=10**6, b=10**6)

    got = Counter(name for _ in range(40) for name in queues.claim(1))
    assert got == {"a": 30, "b": 10}


def test_a_queue_that_is_not_looked_at_does_not_change_the_shares_of_the_others() -> None:
    turns = Turns(read_served(["a:3", "b:1", "paused:1"]))
    got: Counter[str] = Counter()
    for _ in range(40):
        order = [name for name in turns.order() if name != "paused"]
        turns.took(order, order[:1], count=1)
        got[order[0]] += 1

    assert got == {"a": 30, "b": 10}
