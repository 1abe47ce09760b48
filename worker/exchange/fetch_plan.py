"""Fetch plan: how many runs a process asks for, for its threads and for its coroutines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from worker.exchange.delivery import Delivery
from worker.exchange.prefetch import MAX_BATCH

LANE_POLL_SECONDS = 0.02
"""How often to look for runs of coroutines while no thread needs a run. Source: decision; such a run is late by half
of it on average."""
LANE_LOOK_PAUSES = 9
"""After a look that found nothing, the wait for the next is this many times its duration: it may have scanned a long
queue. Source: decision; a tenth of the fetcher's time."""
LONGEST_TAKE = 0.2
"""Seconds that a claim waits for a run. Source: design; a stopping process waits for it."""


IDLE_TAKE = 0.5
"""The same in an idle process. Source: decision."""
STALE_SECONDS = 0.25
"""After this time a claimed run that no thread has started is given back: another process may be idle. Source:
design."""
STALE_POLL_SECONDS = 0.02
"""How often to look for such runs; a look reads the whole buffer. Source: decision."""
STALL_POLL_SECONDS = 0.005
"""How often to check progress while both runs and threads wait. If no run was started, one more thread is woken."""
WAITED_LONG = 0.1
"""A run that waits this long wakes a waiting thread. Source: prefetched work takes as long."""
MAX_AHEAD = 2 * MAX_BATCH
"""Most claimed runs that no thread has started: the threads perform one batch while the next is taken and claimed.
Source: measured in three pairs each; 1.06 times the speed with Redis, no difference without."""
BACKLOG_WAIT = 0.01
"""Seconds until the fetcher checks again whether the settler has caught up. Source: a batch takes longer."""


class Lane(Protocol):
    """Performs runs that need no thread: the coroutines."""

    def room(self) -> int:
        """How many more runs it accepts."""
        ...

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Perform these runs."""
        ...


class FetchPlan:
    """Decides how many runs to claim, and of which kinds.

    Args:
        kinds: all kinds that the process serves.
        lane_kinds: the kinds that need no thread; empty if there is no lane.
        not_now: returns the kinds that must not be claimed now.
    """

    def __init__(
        self, kinds: Sequence[str], lane_kinds: frozenset[str], *, not_now: Callable[[], Sequence[str]]
    ) -> None:
        self._kinds = [kind for kind in kinds if kind not in lane_kinds]
        self._lane_kinds = lane_kinds
        self._not_now = not_now
        self._look_for_lane_at = 0.0

    def for_threads(self, missing: int, room: int) -> tuple[int, tuple[str, ...] | None, float]:
        """Returns how many runs to claim, of which kinds (None: all), and how long to wait for the first.

        Only a claim of all kinds waits in the source, since any new run ends that wait.

        Args:
            missing: how many runs the threads need.
            room: how many runs the lane accepts.
        """
        not_now = frozenset(self._not_now())
        if not not_now and not self._lane_kinds:
            return missing, None, LONGEST_TAKE
        if not not_now and room >= max(1, missing // 2):
            return min(missing, room), None, LONGEST_TAKE
        return missing, tuple(kind for kind in self._kinds if kind not in not_now), 0.0

    def for_lane(self, now: float) -> tuple[str, ...]:
        """The kinds to look for while the threads need no run; empty if it is too soon for a look."""
        if now < self._look_for_lane_at:
            return ()
        return tuple(sorted(self._lane_kinds.difference(self._not_now())))

    def found_none_for_lane(self, began: float, ended: float) -> None:
        """Record a look that found nothing; it delays the next, so that looks do not slow the threads down."""
        self._look_for_lane_at = ended + max(LANE_POLL_SECONDS, LANE_LOOK_PAUSES * (ended - began))
