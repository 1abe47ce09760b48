"""Signs visitors in on threads of their own, so that requests of signed-in users keep theirs.

Few at once and few who wait; the next is told to come again, before anything is asked of the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from jobs.errors import Overloaded
from jobs.operations.access import credentials

T = TypeVar("T")
AT_ONCE, WAITING = credentials.AT_ONCE, 16
"""Source: decision; the last who waits does so for some two seconds."""


class SignInThreads:
    """Lets so many through at once. Used from one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="jobs-api-doorway")
        self._taken = 0

    def is_full(self) -> bool:
        """Whether ``run`` would refuse."""
        return self._taken >= AT_ONCE + WAITING

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives back.

        Raises:
            Overloaded: as many sign in, and wait, as may.
        """
        if self.is_full():
            raise Overloaded("Too many sign in at once.", hint="Try again in a moment.")
        self._taken += 1
        # The log and the audit name the request.
        future = self._threads.submit(copy_context().run, work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda done: self._leave(loop, done))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def _leave(self, loop: asyncio.AbstractEventLoop, done: Future[T]) -> None:
        # Counted when the work has ended, not when whoever asked has hung up.
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._count_out)

    def _count_out(self) -> None:
        self._taken -= 1
