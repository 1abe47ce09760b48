"""A rolling restart: every seat's process is replaced by one of new code, one after another, each when it is
ready.

Never fewer processes are ready than there are seats, but for those that die meanwhile. New code that cannot
be imported, or whose first process cannot become ready, changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from worker.generation import Generation
from worker.member import Member
from worker.seat import Seat

_log = logging.getLogger("jobs.supervisor")

TRIES = 3
"""Deaths before ``ready`` of the first processes of new code after which it is sent away. Source:
decision.
"""


class RollingRestart:
    """``is_over`` when every seat has new code, or when the new code has been sent away (``has_failed``)."""

    def __init__(self, generation: Generation, seats: Sequence[Seat]) -> None:
        self.generation = generation
        self.is_over = False
        self.has_failed = False
        self.is_proved = False
        """A process of the new code has become ready: from now on it is the code to start processes of."""
        self._seats = seats
        self._deaths = 0

    def step(self, start: Callable[[Seat, Generation], Member | None]) -> None:
        """Start the next successor, if nothing is to be waited for. Call whenever something has changed."""
        if self.is_over or not self.generation.can_start:
            return
        for seat in self._seats:
            has_new = seat.member is not None and seat.member.generation is self.generation
            if has_new and seat.member is not None and seat.member.ready is not None:
                continue
            # An empty seat gets one too: old code that dies as it starts must not keep the new code out.
            if not has_new and seat.successor is None:
                seat.successor = start(seat, self.generation)
            return
        self.is_over = True
        _log.info("rolling restart done", extra={"generation": self.generation.number})

    def died_early(self) -> None:
        """A process of the new code died before it was ready."""
        self._deaths += 1
        if self._deaths >= TRIES and not self.is_proved:
            self.fail("its first processes do not become ready")

    def fail(self, why: str) -> None:
        self.is_over = self.has_failed = True
        _log.error(
            "rolling restart given up, old code goes on",
            extra={"generation": self.generation.number, "why": why},
        )
