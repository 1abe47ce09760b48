"""A semaphore for which threads and coroutines wait in one queue, first come first served."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from jobs.clock import Clock
from jobs.errors import LedgerBusy

SLICE_SECONDS = 0.05
"""How long a thread waits at a time, so that a time limit can interrupt it in between."""
LOOP_SECONDS = 5.0
"""The longest wait of a thread with a running event loop: coroutines on it may hold what it waits for."""


def on_loop() -> bool:
    """Whether this thread runs an event loop now, which a wait would block."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Permit:
    """One place of a semaphore, released by ``release`` or when nothing refers to it any more.

    So an interrupt between taking a place and using it loses no place.
    """

    __slots__ = ("_owner", "_wake", "is_held")

    def __init__(self, owner: Semaphore, wake: Callable[[], None]) -> None:
        self.is_held = False
        self._owner = owner
        self._wake = wake

    def release(self) -> None:
        """Release the place, or stop waiting for it. A second call does nothing."""
        self._owner._leave(self)

    def __del__(self) -> None:
        if self.is_held:
            self._owner._leave(self)


class Semaphore:
    """A limited number of places. A waiting coroutine uses no thread that the holder of a place may need.

    Args:
        places: 1 or more.
    """

    def __init__(self, places: int, clock: Clock) -> None:
        # Reentrant: a garbage collection inside a locked block may release a permit.
        self._lock = threading.RLock()
        self._free = places
        self._waiting: deque[Permit] = deque()
        self._clock = clock

    def shrink(self, places: int) -> None:
        """Remove this many places; at least one stays."""
        with self._lock:
            self._free = max(self._free - places, 1)

    def try_take(self) -> Permit | None:
        """A place, if one is free at once."""
        permit = Permit(self, _nothing)
        self._ask(permit)
        if permit.is_held:
            return permit
        permit.release()
        return None

    def take(self, limit_seconds: float | None = None) -> Permit | None:
        """Wait for a place on this thread; None if none was free within the limit."""
        woken = threading.Lock()
        woken.acquire()
        permit = Permit(self, woken.release)
        until = None if limit_seconds is None else self._clock.monotonic() + limit_seconds
        try:
            self._ask(permit)
            while not permit.is_held:
                woken.acquire(timeout=SLICE_SECONDS)
                if until is not None and not permit.is_held and self._clock.monotonic() >= until:
                    break
        except BaseException:
            permit.release()
            raise
        if permit.is_held:
            return permit
        permit.release()
        return None

    @contextmanager
    def place(self, limit_seconds: float | None, *, what: str) -> Iterator[None]:
        """A place while the block runs.

        Raises:
            LedgerBusy: none was free within the limit.
        """
        permit = self.take(limit_seconds if limit_seconds is not None or not on_loop() else LOOP_SECONDS)
        if permit is None:
            raise LedgerBusy(
                f"All connections that this process may have to {what} are in use.",
                hint="Raise JOBS_POOL_SIZE, or do less at once.",
            )
        try:
            yield
        finally:
            permit.release()

    async def take_async(self) -> Permit:
        """Wait for a place, without a thread."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def finish() -> None:
            if not woken.done():
                woken.set_result(None)

        def wake() -> None:
            with suppress(RuntimeError):  # The loop is closed, and its coroutine with it.
                loop.call_soon_threadsafe(finish)

        permit = Permit(self, wake)
        try:
            self._ask(permit)
            if not permit.is_held:
                await woken
        except BaseException:
            permit.release()
            raise
        return permit

    def _ask(self, permit: Permit) -> None:
        with self._lock:
            if self._free > 0 and not self._waiting:
                self._free -= 1
                permit.is_held = True
            else:
                self._waiting.append(permit)

    def _leave(self, permit: Permit) -> None:
        heir = None
        with self._lock:
            if not permit.is_held:
                with suppress(ValueError):
                    self._waiting.remove(permit)
                return
            permit.is_held = False
            if self._waiting:
                heir = self._waiting.popleft()
                heir.is_held = True
            else:
                self._free += 1
        if heir is not None:
            heir._wake()


def _nothing() -> None: ...
