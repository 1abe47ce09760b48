"""Fetch plan: how many runs a process asks for, for its threads and for its coroutines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from worker.exchange.delivery import Delivery

LANE_LOOK_SECONDS = 0.02
"""While no thread needs a run: how often to look for those that take none. Source: decision; half of it late."""
LANE_LOOK_PAUSES = 9
"""A look that finds nothing may pass over a long queue: so many times as long as it took there is no other.
Source: decision; a tenth of the fetcher's time."""
LONGEST_TAKE = 0.2
"""Seconds that a take waits. Source: design; a stopping process waits for it."""


IDLE_TAKE = 0.5
"""Likewise, in a process that has nothing to do. Source: decision."""


class Lane(Protocol):
    """Where runs go that take no thread."""

    def room(self) -> int:
        """How many more it would take."""
        ...

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Perform them."""
        ...


class FetchPlan:
    """How many runs of which kinds to claim.

    Args:
        kinds: all that are served.
        lane_kinds: those that take no thread; none if there is no lane.
        not_now: the kinds that are not to be claimed just now.
    """

    def __init__(
        self, kinds: Sequence[str], lane_kinds: frozenset[str], *, not_now: Callable[[], Sequence[str]]
    ) -> None:
        self._kinds = [kind for kind in kinds if kind not in lane_kinds]
        self._lane_kinds = lane_kinds
        self._not_now = not_now
        self._look_for_lane_at = 0.0

    def for_threads(self, missing: int, room: int) -> tuple[int, tuple[str, ...] | None, float]:
        """What to claim: how many, of which kinds (None: of all), and how long to wait for the first.

        Only an ask for all kinds waits in the source, for whatever comes ends it.

        Args:
            missing: how many runs the threads would take.
            room: how many the lane would take.
        """
        not_now = frozenset(self._not_now())
        if not not_now and not self._lane_kinds:
            return missing, None, LONGEST_TAKE
        if not not_now and room >= max(1, missing // 2):
            return min(missing, room), None, LONGEST_TAKE
        return missing, tuple(kind for kind in self._kinds if kind not in not_now), 0.0

    def for_lane(self, now: float) -> tuple[str, ...]:
        """The kinds to look for while the threads have what they need; none if it is too soon for a look."""
        if now < self._look_for_lane_at:
            return ()
        return tuple(sorted(self._lane_kinds.difference(self._not_now())))

    def found_none_for_lane(self, began: float, ended: float) -> None:
        """A look for the lane found nothing: the next is not so soon that the threads would notice."""
        self._look_for_lane_at = ended + max(LANE_LOOK_SECONDS, LANE_LOOK_PAUSES * (ended - began))
