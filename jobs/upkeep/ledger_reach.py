"""Whether the ledger has been reachable long enough for every living worker to have renewed its leases."""

from __future__ import annotations

from datetime import timedelta

from jobs.clock import Clock

EVERY_SECONDS = 5.0
"""Seconds between two rounds of upkeep, varied by a quarter. Source: decision; notices a lost lease within 6 s."""
SHORTEST_SECONDS = 1.0
POLL_SECONDS = 2.0
"""How often a heartbeat checks whether it is time to renew. Source: ``worker.exchange.heartbeat``."""
MARGIN_SECONDS = 1.0
"""Extra time for renewals in a busy ledger. Source: decision; thousands of leases are renewed in 40 ms."""


class Reach:
    """Watches the gaps between the ledger's answers, for the code that ends attempts with expired leases.

    A lease may expire because its worker is gone, or because no process could renew it: the server was away, a table
    was locked, this process was paused, the whole machine slept. After such a gap, renewals come first.

    Attributes:
        every_seconds: how often to ask, so that no gap in which a lease expires is missed.
    """

    def __init__(self, clock: Clock, *, lease: timedelta) -> None:
        seconds = lease.total_seconds()
        renewed_every = seconds / 3
        self.every_seconds = min(EVERY_SECONDS, max(SHORTEST_SECONDS, renewed_every))
        self._clock = clock
        # Below two thirds of a lease, which is what is left after one missed renewal.
        self._longest_gap = max(2.0, 1.25 * self.every_seconds + seconds / 8)
        self._turn = renewed_every + min(POLL_SECONDS, renewed_every) + MARGIN_SECONDS
        self._answered_at: tuple[float, float] | None = self._moment()
        self._steady_at = clock.monotonic()

    def lost(self) -> None:
        """The ledger did not answer, or the time since its last answer is unknown."""
        self._answered_at = None

    def answered(self) -> bool:
        """The ledger has just answered. Returns whether workers had time to renew since it was last out of reach."""
        before, now = self._answered_at, self._moment()
        # By both clocks: while a machine sleeps, the monotonic one may stand still.
        if before is None or max(now[0] - before[0], now[1] - before[1]) > self._longest_gap:
            self._steady_at = now[0] + self._turn
        self._answered_at = now
        return now[0] >= self._steady_at

    def _moment(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.now().timestamp()
