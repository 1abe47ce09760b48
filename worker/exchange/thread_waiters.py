"""Threads that wait for work, woken one by one, the last to wait first."""

from __future__ import annotations

from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class ThreadWaiters:
    """Each step is atomic: no thread holds a lock that another must have in order to wake somebody."""

    def __init__(self) -> None:
        # A lock for each thread that sleeps, held until it is woken; taken out by whoever wakes it.
        self._asleep: list[LockType] = []
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._asleep)

    def wait(self, seconds: float, look: Callable[[], T | None]) -> T | None:
        """Sleep until woken, at most so long, and give what ``look`` then finds, if anything."""
        wakeup = allocate_lock()
        wakeup.acquire()
        self._asleep.append(wakeup)
        # What came before this thread could be woken woke nobody.
        found = look()
        if found is None and not self._is_closed and seconds > 0:
            wakeup.acquire(timeout=seconds)
            found = look()
        try:
            self._asleep.remove(wakeup)
        except ValueError:
            pass  # Woken.
        return found

    def wake(self, count: int) -> None:
        """Wake so many, or all that sleep."""
        for _ in range(count):
            try:
                self._asleep.pop().release()
            except IndexError:
                return

    def close(self) -> None:
        """Nobody sleeps from now on."""
        self._is_closed = True
        while self._asleep:
            self.wake(1)
