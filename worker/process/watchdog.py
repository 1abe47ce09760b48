"""Watchdog: ends the process when one of its threads no longer does its work; the supervisor replaces it.

A dead thread, or a heartbeat, fetcher or settler that makes no progress, leaves a process that looks alive and holds
leases in vain. A database that is down does not count: every wait for it has a limit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Thread

from jobs.clock import Clock


class Watchdog:
    """Checks that threads are alive and that their loops make progress.

    Args:
        threads: returns the threads that must be alive; called each time, since threads may be replaced.
        limit_seconds: how long one turn of a loop may take; above the longest wait that has a limit of its own.
    """

    def __init__(self, clock: Clock, threads: Callable[[], Iterable[Thread]], *, limit_seconds: float) -> None:
        self._clock = clock
        self._threads = threads
        self._limit = limit_seconds
        self._turns: dict[str, Callable[[], float | None]] = {}

    def watch(self, name: str, turned_at: Callable[[], float | None]) -> None:
        """Also check the loop ``name``; ``turned_at`` returns its last turn (monotonic), or None while it is idle."""
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
                return f"the {name} has made no progress for {now - at:.0f} s"
        return None
