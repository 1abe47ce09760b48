"""Claim buffer: the claimed runs of a process, from the claim until their attempt has ended.

A delivery is in one of three places: it waits, it was handed to a thread that has not started it, or a thread performs
it. Whoever removes a delivery from its place owns it, and settles it or gives it back.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable

from worker.exchange.delivery import Delivery


class ClaimBuffer:
    """The deliveries of one process, by place; threads share it."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Delivery]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        # Dicts, because their pop is atomic and needs no lock.
        self._handed: dict[Delivery, None] = {}
        self._busy: dict[Delivery, None] = {}
        self.handed_over = 0
        """How many deliveries threads have taken so far."""

    def __len__(self) -> int:
        """How many deliveries no thread has started."""
        return len(self._waiting) + len(self._handed)

    @property
    def waiting(self) -> int:
        """How many deliveries no thread has taken."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """How many deliveries threads perform now."""
        return len(self._busy)

    def is_busy(self, delivery: Delivery) -> bool:
        """Whether a thread performs it, and its attempt has not been ended."""
        return delivery in self._busy

    def performing(self) -> list[Delivery]:
        """The deliveries that threads perform now."""
        return list(self._busy)

    def put(self, deliveries: Iterable[Delivery]) -> int:
        """Let deliveries wait for a thread, by priority. Returns how many wait now."""
        with self._lock:
            for delivery in deliveries:
                heapq.heappush(self._waiting, (delivery.claim.priority, next(self._order), delivery))
            return len(self._waiting)

    def take(self) -> Delivery | None:
        """Hand the next delivery to a thread; None if none waits."""
        with self._lock:
            if not self._waiting:
                return None
            delivery = heapq.heappop(self._waiting)[2]
            self._handed[delivery] = None
            self.handed_over += 1
        return delivery

    def begin(self, delivery: Delivery) -> bool:
        """Mark a delivery as performed by its thread; False if it was withdrawn meanwhile."""
        if not self.withdraw(delivery):
            return False
        self._busy[delivery] = None
        return True

    def end(self, delivery: Delivery) -> bool:
        """Remove a delivery that a thread performs; False if none performs it."""
        return self._busy.pop(delivery, self) is not self

    def withdraw(self, delivery: Delivery) -> bool:
        """Remove a delivery that was handed to a thread and not started; False if it is no such one."""
        return self._handed.pop(delivery, self) is not self

    def next_claimed_monotonic(self) -> float | None:
        """When the next delivery that waits was claimed, on the monotonic clock; None if none waits."""
        with self._lock:
            return self._waiting[0][2].claimed_monotonic if self._waiting else None

    def take_older(self, oldest: float) -> list[Delivery]:
        """Remove the deliveries that were claimed before ``oldest`` and that no thread has started."""
        with self._lock:
            older = [entry[2] for entry in self._waiting if entry[2].claimed_monotonic < oldest]
            if older:
                self._waiting = [entry for entry in self._waiting if entry[2].claimed_monotonic >= oldest]
                heapq.heapify(self._waiting)
        handed = [one for one in list(self._handed) if one.claimed_monotonic < oldest and self.withdraw(one)]
        return older + handed

    def take_those(self, is_one: Callable[[Delivery], bool]) -> list[Delivery]:
        """Remove the deliveries for which ``is_one`` is true and that no thread has started."""
        with self._lock:
            waiting = self._waiting
            self._waiting = [entry for entry in waiting if not is_one(entry[2])]
            left = {id(entry) for entry in self._waiting}
            heapq.heapify(self._waiting)
            taken = [entry[2] for entry in waiting if id(entry) not in left]
        return taken + [one for one in list(self._handed) if is_one(one) and self.withdraw(one)]

    def take_all(self) -> list[Delivery]:
        """Remove every delivery that no thread has started."""
        with self._lock:
            left, self._waiting = [entry[2] for entry in self._waiting], []
        return left + [one for one in list(self._handed) if self.withdraw(one)]
