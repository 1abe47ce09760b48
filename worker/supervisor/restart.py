"""Back-off before a process that died is replaced: none after one death, longer after several."""

from __future__ import annotations

import random

from jobs.clock import doubled

FIRST_SECONDS = 0.1
MAX_SECONDS = 30.0
HEALTHY_SECONDS = 30.0
"""A process that was ready for this long resets the count of deaths. Source: decision, as are the two waits."""
LOOPING = 4
"""Deaths in a row that count as a crash loop, which is logged."""


class BackOff:
    """The waits of one slot: they double from 0.1 s to 30 s, plus up to a quarter of jitter."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.deaths = 0
        """Deaths in a row, less those that ready time has compensated."""

    @property
    def is_looping(self) -> bool:
        return self.deaths >= LOOPING

    def died(self, lived_seconds: float) -> float:
        """Record a death. Returns the seconds to wait before the next start.

        Args:
            lived_seconds: how long the process was ready; 0 if it never was.
        """
        # Each ready second compensates one death: a process that is killed from outside every few seconds is
        # replaced at once, while the waits grow for one that dies as it starts.
        paid = self.deaths if lived_seconds >= HEALTHY_SECONDS else int(lived_seconds)
        self.deaths = max(0, self.deaths - paid)
        self.deaths += 1
        return self._wait() * (1 + self._rng.random() / 4)

    def reset(self) -> None:
        self.deaths = 0

    def _wait(self) -> float:
        return doubled(FIRST_SECONDS, max(self.deaths, 1) - 1, most=MAX_SECONDS)
