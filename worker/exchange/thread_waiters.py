"""Thread waiters: threads that wait for work, woken one by one, the last to wait first."""

from __future__ import annotations

from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class ThreadWaiters:
    """Each step is atomic, so that waking a thread never needs a lock that another thread may hold."""

    def __init__(self) -> None:
        # A lock for each waiting thread, held until the thread is woken; removed by the thread that wakes it.
        self._asleep: list[LockType] = []
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._asleep)

    def wait(self, seconds: float, look: Callable[[], T | None]) -> T | None:
        """Sleep until woken, at most ``seconds``, and return what ``look`` then finds, if anything."""
        wakeup = allocate_lock()
        wakeup.acquire()
        self._asleep.append(wakeup)
        # A run that arrived before this thread was registered has woken no thread.
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
        """Wake ``count`` threads, or all that wait if there are fewer."""
        for _ in range(count):
            try:
                self._asleep.pop().release()
            except IndexError:
                return

    def close(self) -> None:
        """Wake every thread; from now on none waits."""
        self._is_closed = True
        while self._asleep:
            self.wake(1)
