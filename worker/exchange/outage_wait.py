"""Outage wait: the back-off of the fetcher and the settler while the ledger is down."""

from __future__ import annotations

from jobs.clock import Clock, doubled

FIRST_SECONDS = 0.1
MAX_SECONDS = 2.0


def outage_wait(failures: int, clock: Clock) -> float:
    """Seconds to wait after so many failures in a row, 1 or more: doubled each time, with half of jitter either way."""
    return doubled(FIRST_SECONDS, failures - 1, most=MAX_SECONDS) * (0.5 + clock.rng.random())
