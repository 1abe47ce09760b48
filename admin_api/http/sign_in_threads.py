"""Signs users in on separate threads, so that requests of signed-in users are not delayed.

Few sign in at once and few wait; more are refused before any query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from jobs.operations.access import credentials
from jobs.operations.access.access_errors import Overloaded

T = TypeVar("T")
AT_ONCE, WAITING = credentials.AT_ONCE, 16
"""Source: decision; the last one in the queue waits about two seconds."""


class SignInThreads:
    """Limits concurrent sign-ins. Used from one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="jobs-api-doorway")
        self._taken = 0

    def is_full(self) -> bool:
        """Whether ``run`` would refuse."""
        return self._taken >= AT_ONCE + WAITING

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` and return its result.

        Raises:
            Overloaded: the queue is full.
        """
        if self.is_full():
            raise Overloaded("Too many users are signing in.", hint="Try again in a moment.")
        self._taken += 1
        # The log and the audit log record the request id.
        future = self._threads.submit(copy_context().run, work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda done: self._leave(loop, done))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def _leave(self, loop: asyncio.AbstractEventLoop, done: Future[T]) -> None:
        # Released when the work has ended, not when the client disconnects.
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._count_out)

    def _count_out(self) -> None:
        self._taken -= 1
