"""Shares: which tenants get the next places, by start-time fair queueing. Pure.

Each tenant has a turn, a number. The smallest goes next, and its next turn is one further, divided by its weight. A
tenant that comes new, or again, starts at the turn that is taken now: it neither waits for the past of others nor makes
up for its own.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple


class Turn(NamedTuple):
    """A tenant's next turn, and its weight."""

    turn: float
    weight: float = 1.0


def share(turns: Mapping[str, Turn], places: int, *, at: float, most: Mapping[str, int]) -> tuple[list[str], float]:
    """The tenants that get the next places, in order, and the turn that the last of them took.

    Args:
        turns: of each tenant that waits.
        places: how many there are.
        at: the turn that is taken now.
        most: how many runs a tenant has; one that is not named has enough.
    """
    heap = [(max(turn.turn, at), tenant) for tenant, turn in turns.items()]
    heapq.heapify(heap)
    left = dict(most)
    order: list[str] = []
    while heap and len(order) < places:
        turn, tenant = heapq.heappop(heap)
        if left.get(tenant, 1) <= 0:
            continue
        if tenant in left:
            left[tenant] -= 1
        order.append(tenant)
        at = max(at, turn)
        heapq.heappush(heap, (turn + 1.0 / turns[tenant].weight, tenant))
    return order, at


def after(turns: Mapping[str, Turn], order: list[str], *, at: float) -> dict[str, float]:
    """The next turn of each tenant that got a place; ``at`` as it was before."""
    return {
        tenant: max(turns[tenant].turn, at) + count / turns[tenant].weight for tenant, count in Counter(order).items()
    }
