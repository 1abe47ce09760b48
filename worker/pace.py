"""How much to claim: what a queue's slowest recent kinds would finish in 100 ms, so that nothing is hoarded."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

AHEAD_SECONDS = 0.1
"""Work claimed ahead. Source: design; short jobs go in large batches, long ones one a thread."""
MAX_BATCH = 500
"""Source: measured; larger batches gain nothing and hold locks longer."""
_SAMPLES = 64


class Pace:
    """Recent durations by queue and kind. Written by the settler, read by the intake."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._recent: dict[str, dict[str, deque[float]]] = {}

    def note(self, queue: str, kind: str, seconds: float) -> None:
        """An attempt of ``kind`` took so long."""
        kinds = self._recent.setdefault(queue, {})
        samples = kinds.get(kind)
        if samples is None:
            samples = kinds[kind] = deque(maxlen=_SAMPLES)
        samples.append(seconds)

    def ahead(self, queues: Sequence[str]) -> int:
        """How many runs of these queues to hold beyond one for each idle thread; none while they are unknown."""
        slowest = 0.0
        for queue in queues:
            kinds = self._recent.get(queue)
            for samples in list(kinds.values()) if kinds else ():
                ordered = sorted(samples)
                slowest = max(slowest, ordered[int(len(ordered) * 0.95)])
        return int(self._threads * AHEAD_SECONDS / slowest) if slowest > 0 else 0
