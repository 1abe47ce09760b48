"""A monotonic clock that stands still until a test sets it."""

from __future__ import annotations

from jobs.clock import SystemClock


class ManualClock(SystemClock):
    at = 0.0

    def monotonic(self) -> float:
        return self.at
