"""Wants: what a process asks of its source, for its threads and for the lane of what takes no thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from jobs.dramatiq import Delivery
from worker.source import Source

LANE_STEP = 32
"""Runs for the lane in one claim, where a source knows a run's kind only once it is claimed: those that turn out
to need a thread go back. Source: decision."""
LONGEST_TAKE = 0.2
"""Seconds that a take waits. Source: design; a stopping process waits for it."""


class Lane(Protocol):
    """Where runs go that take no thread."""

    def room(self) -> int:
        """How many more it would take."""
        ...

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Perform them."""
        ...


class Wants:
    """How many runs of which kinds to claim.

    Args:
        kinds: all that are served.
        lane_kinds: those that take no thread; none if there is no lane.
        not_now: the kinds that are not to be claimed just now.
    """

    def __init__(
        self, source: Source, kinds: Sequence[str], lane_kinds: frozenset[str], *, not_now: Callable[[], Sequence[str]]
    ) -> None:
        self._source = source
        self._kinds = [kind for kind in kinds if kind not in lane_kinds]
        self._lane_kinds = lane_kinds
        self._not_now = not_now

    def of(self, missing: int, room: int) -> list[tuple[int, tuple[str, ...] | None, float]]:
        """What to claim: how many, of which kinds (None: of all), and how long to wait for the first.

        Args:
            missing: how many runs the threads would take.
            room: how many the lane would take.
        """
        not_now = frozenset(self._not_now())
        if not self._lane_kinds and not not_now:
            return [(missing, None, LONGEST_TAKE)]
        if missing and room and not self._source.knows_kinds and not not_now:
            return [(missing + min(room, max(missing, LANE_STEP)), None, LONGEST_TAKE)]
        asked = [
            (missing, tuple(kind for kind in self._kinds if kind not in not_now)),
            (room if self._source.knows_kinds else min(room, LANE_STEP), tuple(sorted(self._lane_kinds - not_now))),
        ]
        wants = [(count, kinds) for count, kinds in asked if count and kinds]
        # Only the last one waits: what the others wait for ends that wait too. But not the end of a thread's run.
        longest = LONGEST_TAKE if missing else LONGEST_TAKE / 2
        return [
            (count, kinds, longest if place == len(wants) - 1 else 0.0) for place, (count, kinds) in enumerate(wants)
        ]
