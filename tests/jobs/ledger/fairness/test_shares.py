"""Shares: tenants get places by weight; nobody waits for another's past or makes up for its own."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jobs.ledger.fairness.shares import Turn, after, share


def drain(weights: dict[str, float], runs: int, batch: int) -> list[str]:
    """The tenants in the order in which they are served, while all of them have runs."""
    turns = {tenant: Turn(0.0, weight) for tenant, weight in weights.items()}
    at, served = 0.0, []
    while len(served) < runs:
        order, following = share(turns, batch, at=at, most={})
        turns |= {tenant: Turn(turn, weights[tenant]) for tenant, turn in after(turns, order, at=at).items()}
        at = following
        served += order
    return served


@given(
    st.dictionaries(st.text("abcdefghij", min_size=1, max_size=1), st.sampled_from([1.0, 2.0, 3.0]), min_size=2),
    st.integers(1, 50),
)
def test_tenants_that_wait_all_the_time_get_their_weights(weights: dict[str, float], batch: int) -> None:
    served = Counter(drain(weights, 2000, batch))

    total = sum(served.values())
    for tenant, weight in weights.items():
        ideal = total * weight / sum(weights.values())
        assert abs(served[tenant] - ideal) <= 2 * weight + 1


def test_a_tenant_that_comes_late_is_next_and_does_not_catch_up() -> None:
    turns = {"a": Turn(1000.0), "new": Turn(0.0), "b": Turn(1000.0)}

    order, at = share(turns, 7, at=999.0, most={})

    assert order[0] == "new"
    assert Counter(order) == {"new": 3, "a": 2, "b": 2}
    assert at == 1001.0


def test_a_tenant_with_few_runs_leaves_its_places_to_others() -> None:
    order, _ = share({"a": Turn(0.0), "b": Turn(0.0)}, 10, at=0.0, most={"a": 2})

    assert Counter(order) == {"a": 2, "b": 8}
    assert share({"a": Turn(0.0)}, 10, at=0.0, most={"a": 3})[0] == ["a", "a", "a"]
