"""Claim places: how far the claims of one process have come in each queue, so that the next one begins there.

PostgreSQL keeps the index entry of a claimed run until a vacuum. A worker that drains a great backlog leaves hundreds
of thousands of them before the runs that still wait, and a claim that begins at the start of its queue reads past all
of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobs.clock import Clock
from jobs.ledger.records import Claim
from jobs.ledger.runs.claim import Place

FROM_THE_START_SECONDS = 0.5
"""How often a claim begins at the start: a more urgent run, one that went back to its queue, or one whose transaction
committed late is passed over for this long at most, and only while every claim is full. Source: decision; it costs two
per cent of the time after 600,000 claims without a vacuum."""


class ClaimPlaces:
    """The places of one thread that claims. Only a claim that got all it asked for leaves one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: dict[str, Place] = {}
        self._look_at = 0.0

    def now(self) -> Mapping[str, Place]:
        """Where the next claim begins in each queue; empty: at the start of all of them."""
        if self._places and self._clock.monotonic() >= self._look_at:
            self.forget()
        return self._places

    def came_to(self, claims: Sequence[Claim]) -> None:
        """Record a claim that got all it asked for: in the queue of its last run, the next one begins there."""
        if not self._places:
            self._look_at = self._clock.monotonic() + FROM_THE_START_SECONDS
        last = claims[-1]
        self._places[last.queue] = last.priority, last.run_at, last.run_id

    def forget(self) -> None:
        """Begin at the start: nothing is known of what waits."""
        self._places = {}
