"""Back-off before a process that died is replaced: none after one death, longer after several."""

from __future__ import annotations

import random

FIRST_SECONDS = 0.1
MAX_SECONDS = 30.0
HEALTHY_SECONDS = 30.0
"""Lived this long: what happened before is forgotten. Source: decision, as are the two waits."""
LOOPING = 4
"""Deaths in a row that we call a crash loop, and say so."""


class BackOff:
    """The waits of one place: doubling from 0.1 s to 30 s, with up to a quarter of jitter on top."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.deaths = 0
        """Deaths in a row that were not forgiven."""

    @property
    def is_looping(self) -> bool:
        return self.deaths >= LOOPING

    def died(self, lived_seconds: float) -> float:
        """Seconds to wait before the next start, after a life as ``ready`` of this length (0: never
        ready).
        """
        # Each second as ready pays for one death: a process that is killed from outside every few seconds is
        # replaced at once, while one that dies as it starts waits longer and longer.
        paid = self.deaths if lived_seconds >= HEALTHY_SECONDS else int(lived_seconds)
        self.deaths = max(0, self.deaths - paid)
        self.deaths += 1
        return self._wait() * (1 + self._rng.random() / 4)

    def reset(self) -> None:
        self.deaths = 0

    def _wait(self) -> float:
        return min(MAX_SECONDS, FIRST_SECONDS * 2.0 ** min(max(self.deaths, 1) - 1, 30))
