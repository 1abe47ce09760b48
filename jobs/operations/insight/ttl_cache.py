"""A small TTL cache: limited in size, emptied by every change."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from datetime import timedelta
from typing import Generic, TypeVar

from jobs.clock import Clock

V = TypeVar("V")


class TtlCache(Generic[V]):
    """Values by their keys. Thread-safe.

    Args:
        most: most values at once; a further one is not stored until some have expired.
    """

    def __init__(self, clock: Clock, *, most: int) -> None:
        self._clock, self._most = clock, most
        self._kept: dict[Hashable, tuple[V, float]] = {}
        self._lock = threading.Lock()
        self._drops = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def drops(self) -> int:
        """How often the cache was emptied; read it before computing a value, and pass it to ``put``."""
        return self._drops

    def drop(self) -> None:
        """Empty the cache, because the ledger was changed."""
        with self._lock:
            self._kept.clear()
            self._drops += 1

    def find(self, key: Hashable) -> V | None:
        """The value, unless it has expired."""
        found = self._kept.get(key)
        return found[0] if found is not None and found[1] > self._clock.monotonic() else None

    def put(self, key: Hashable, value: V, *, until: float, drops: int) -> None:
        """Store it until that moment of the clock's ``monotonic``, unless the cache was emptied since it was begun."""
        with self._lock:
            if len(self._kept) >= self._most:
                now = self._clock.monotonic()
                self._kept = {one: other for one, other in self._kept.items() if other[1] > now}
            if (key in self._kept or len(self._kept) < self._most) and drops == self._drops:
                self._kept[key] = value, until


def fresh_seconds(took: float, *, share: float, least: timedelta, most: timedelta) -> float:
    """How long a value stays fresh that took ``seconds`` to compute: ``share`` times that, within bounds."""
    return max(least.total_seconds(), min(most.total_seconds(), share * took))
