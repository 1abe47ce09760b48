"""Prefetch limit: how many runs to claim ahead, computed from the recent durations of a queue's kinds."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from jobs.clock import Clock

AHEAD_SECONDS = 0.1
"""Seconds of work to claim ahead. Source: design; gives large batches of short jobs, and one long job per thread."""
MAX_BATCH = 500
"""Most runs claimed, or attempts settled, at once. Source: measured; larger batches gain nothing and hold locks
longer."""
SHORT_SECONDS = 0.05
"""Kinds with a p95 below this are short. For them the throughput of all threads is the better measure, since most of
one run's duration may be a wait for the interpreter lock. Source: measured; a job that does nothing takes up to 10
ms beside seven others."""
WORTH_A_THREAD = 0.01
"""Seconds of waiting work that are worth one more thread. Source: twice Python's switch interval."""
UNKNOWN_SECONDS = 1.0
"""The assumed duration of a run until some have ended. Source: decision; long enough to wake every thread."""
RARE = 0.01
"""A kind with a smaller share of the attempts that ended recently does not count while many end: it occupies a thread,
and the others go on. Source: measured; the run that gathers 10,000 children is one of them, and slow."""
_SAMPLES = 64
_WINDOW = 0.5
_HOLDS = 0.02
"""Seconds for which a result is cached: the fetcher needs it thousands of times a second."""


class PrefetchLimit:
    """Recent durations and counts by queue and kind. The settler writes it, the fetcher reads it."""

    def __init__(self, threads: int, clock: Clock) -> None:
        self._threads = threads
        self._clock = clock
        self._recent: dict[str, dict[str, deque[float]]] = {}
        self._ended: deque[tuple[float, dict[tuple[str, str], int]]] = deque()
        self._answer = 0
        self._typical = UNKNOWN_SECONDS
        self._asked_at = -_HOLDS

    def record(self, took: Mapping[tuple[str, str], Sequence[float]]) -> None:
        """Record the durations, in seconds, of attempts that have ended, by queue and kind."""
        now = self._clock.monotonic()
        self._ended.append((now, {of: len(seconds) for of, seconds in took.items()}))
        while self._ended[0][0] < now - _WINDOW:
            self._ended.popleft()
        for (queue, kind), seconds in took.items():
            kinds = self._recent.setdefault(queue, {})
            samples = kinds.get(kind)
            if samples is None:
                samples = kinds[kind] = deque(maxlen=_SAMPLES)
            samples.extend(seconds[-_SAMPLES:])

    def ahead(self, queues: Sequence[str]) -> int:
        """How many runs of these queues to claim beyond one for each idle thread; 0 while no durations are known.

        The result reflects a long run that has just ended after at most ``_HOLDS``.
        """
        now = self._clock.monotonic()
        if now - self._asked_at >= _HOLDS or not self._answer:
            self._asked_at, self._answer = now, self._recompute(queues)
        return self._answer

    def typical_seconds(self, queues: Sequence[str]) -> float:
        """The p95 of these queues' slowest kind; a large value while no durations are known."""
        self.ahead(queues)
        return self._typical

    def threads_for(self, waiting: int, queues: Sequence[str]) -> int:
        """How many threads ``waiting`` runs of these queues deserve; 1 or more if any run waits."""
        worth = math.ceil(waiting * self.typical_seconds(queues) / WORTH_A_THREAD)
        return min(waiting, max(1, worth))

    def _recompute(self, queues: Sequence[str]) -> int:
        recent = self._recent_counts()
        few = recent.total() * RARE
        slowest = slowest_common = typical = 0.0
        for queue in queues:
            kinds = self._recent.get(queue)
            for kind, samples in list(kinds.items()) if kinds else ():
                ordered = sorted(samples)
                p95 = ordered[int(len(ordered) * 0.95)]
                slowest = max(slowest, p95)
                if recent[queue, kind] >= few:
                    slowest_common = max(slowest_common, p95)
                    typical = max(typical, ordered[len(ordered) // 2])
        self._typical = typical or UNKNOWN_SECONDS
        if slowest <= 0:
            return 0
        by_duration = self._threads * AHEAD_SECONDS / slowest
        # If a burst of a rare kind comes, few attempts end, and this soon falls to nothing.
        by_rate = recent.total() / _WINDOW * AHEAD_SECONDS if slowest_common < SHORT_SECONDS else 0.0
        return int(max(by_duration, by_rate))

    def _recent_counts(self) -> Counter[tuple[str, str]]:
        """How many attempts ended within the window, by queue and kind."""
        since = self._clock.monotonic() - _WINDOW
        counts: Counter[tuple[str, str]] = Counter()
        for at, ended in list(self._ended):
            if at >= since:
                counts.update(ended)
        return counts
