"""Tells an idle process that another has written to the SQLite file, by ``PRAGMA data_version``."""

from __future__ import annotations

from collections.abc import Callable

from jobs.clock import Clock

LIVELY_SECONDS = 0.005
IDLE_SECONDS = 0.05
LIVELY_FOR_SECONDS = 2.5
"""A look costs 5 µs. Every 5 ms wakes after 3 ms (p50) and costs 1 to 4 % of a core. Source: measurement. For so long
after there was work: runs that come once a second are all met awake."""


class DataVersion:
    """Waits for a commit by any other connection.

    Args:
        read_version: answers ``PRAGMA data_version``, always from the same connection, outside a transaction;
            what that connection commits itself is not seen, so give it one that only watches.
        clock: what time it is, and how to sleep.
    """

    def __init__(self, read_version: Callable[[], int], *, clock: Clock) -> None:
        self._read_version = read_version
        self._clock = clock
        self._seen = read_version()
        self._lively_until = clock.monotonic() + LIVELY_FOR_SECONDS

    def note_activity(self) -> None:
        """Look often for a while: there was work, and more may follow.

        A commit alone says nothing: schedulers and heartbeats write all the time.
        """
        self._lively_until = self._clock.monotonic() + LIVELY_FOR_SECONDS

    def wait_for_change(self, seconds: float) -> bool:
        """Whether somebody committed since the last answer; waits at most ``seconds``, 0 to only look.

        A change between two calls is seen by the second at once; several count as one.
        """
        until = self._clock.monotonic() + seconds
        while True:
            version = self._read_version()
            if version != self._seen:
                self._seen = version
                return True
            now = self._clock.monotonic()
            if now >= until:
                return False
            pause = LIVELY_SECONDS if now < self._lively_until else IDLE_SECONDS
            self._clock.sleep(min(pause, until - now))
