"""Prefetch limit: how many runs to claim ahead, from how long a queue's recent kinds took."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

from jobs.clock import Clock

AHEAD_SECONDS = 0.1
"""Work claimed ahead. Source: design; short jobs go in large batches, long ones one a thread."""
MAX_BATCH = 500
"""Source: measured; larger batches gain nothing and hold locks longer."""
SHORT_SECONDS = 0.05
"""A kind whose p95 is below this is short: what many threads finish together says more than how long one took,
most of which may be waiting for the interpreter. Source: measured; noops take up to 10 ms beside seven others."""
WORTH_A_THREAD = 0.01
"""Seconds of work that another thread is woken for. Source: twice the time for which Python lets a thread run."""
UNKNOWN_SECONDS = 1.0
"""What runs are taken to last until some have ended. Source: decision; every thread is worth waking for that."""
_SAMPLES = 64
_WINDOW = 0.5
_HOLDS = 0.02
"""Seconds for which an answer is given again: the fetcher asks at every turn, thousands of times a second."""


class PrefetchLimit:
    """Recent durations by queue and kind, and how many ended. Written by the settler, read by the fetcher."""

    def __init__(self, threads: int, clock: Clock) -> None:
        self._threads = threads
        self._clock = clock
        self._recent: dict[str, dict[str, deque[float]]] = {}
        self._ended: deque[tuple[float, int]] = deque()
        self._answer = 0
        self._typical = UNKNOWN_SECONDS
        self._asked_at = -_HOLDS

    def note(self, took: Mapping[tuple[str, str], Sequence[float]]) -> None:
        """Attempts ended, by queue and kind, having taken so many seconds each."""
        now = self._clock.monotonic()
        self._ended.append((now, sum(map(len, took.values()))))
        while self._ended[0][0] < now - _WINDOW:
            self._ended.popleft()
        for (queue, kind), seconds in took.items():
            kinds = self._recent.setdefault(queue, {})
            samples = kinds.get(kind)
            if samples is None:
                samples = kinds[kind] = deque(maxlen=_SAMPLES)
            samples.extend(seconds[-_SAMPLES:])

    def ahead(self, queues: Sequence[str]) -> int:
        """How many runs of these queues to hold beyond one for each idle thread; none while they are unknown.

        A long run that has just ended is heard of within ``_HOLDS``.
        """
        now = self._clock.monotonic()
        if now - self._asked_at >= _HOLDS or not self._answer:
            self._asked_at, self._answer = now, self._reckon(queues)
        return self._answer

    def typical_seconds(self, queues: Sequence[str]) -> float:
        """What most runs of these queues' slowest kind take at most; much, while they are unknown."""
        self.ahead(queues)
        return self._typical

    def threads_for(self, waiting: int, queues: Sequence[str]) -> int:
        """How many threads so many runs of these queues are worth; 1 or more, if any run waits."""
        worth = math.ceil(waiting * self.typical_seconds(queues) / WORTH_A_THREAD)
        return min(waiting, max(1, worth))

    def _reckon(self, queues: Sequence[str]) -> int:
        slowest = typical = 0.0
        for queue in queues:
            kinds = self._recent.get(queue)
            for samples in list(kinds.values()) if kinds else ():
                ordered = sorted(samples)
                slowest = max(slowest, ordered[int(len(ordered) * 0.95)])
                typical = max(typical, ordered[len(ordered) // 2])
        self._typical = typical or UNKNOWN_SECONDS
        if slowest <= 0:
            return 0
        by_duration = self._threads * AHEAD_SECONDS / slowest
        by_rate = self._rate() * AHEAD_SECONDS if slowest < SHORT_SECONDS else 0.0
        return int(max(by_duration, by_rate))

    def _rate(self) -> float:
        """Attempts that ended a second, of late."""
        since = self._clock.monotonic() - _WINDOW
        return sum(count for at, count in list(self._ended) if at >= since) / _WINDOW
