"""Watchdog: ends the process when one of its threads no longer does its work; the supervisor replaces it.

A thread that died, a heartbeat that does not beat, a fetcher or a settler that has not come round: each is a
process that looks alive and holds leases for nothing. What a database that is down makes slow is none of these,
for every wait there has a limit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Thread

from jobs.clock import Clock


class Watchdog:
    """Looks at threads, and at when they last came round.

    Args:
        threads: what must be alive; asked again each time, for threads may be replaced.
        limit_seconds: how long a turn may take: above the longest wait that has a limit of its own.
    """

    def __init__(self, clock: Clock, threads: Callable[[], Iterable[Thread]], *, limit_seconds: float) -> None:
        self._clock = clock
        self._threads = threads
        self._limit = limit_seconds
        self._turns: dict[str, Callable[[], float | None]] = {}

    def watch(self, name: str, turned_at: Callable[[], float | None]) -> None:
        """Also look at when ``name`` last came round (monotonic); None while it has nothing to do."""
        self._turns[name] = turned_at

    def fault(self) -> str | None:
        """What is wrong; None if nothing is."""
        for thread in self._threads():
            if not thread.is_alive():
                return f"the thread {thread.name} has died"
        now = self._clock.monotonic()
        for name, turned_at in self._turns.items():
            at = turned_at()
            if at is not None and now - at > self._limit:
                return f"the {name} has not come round for {now - at:.0f} s"
        return None
