"""A coroutine under a time limit, that can be cancelled: the job's own, awaited inside its task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from jobs.errors import Cancelled, Interrupt, TimeLimitExceeded

T = TypeVar("T")


class Limited:
    """One attempt's. Once an interrupt was sent the attempt ends by it, also if the job swallows it."""

    def __init__(self) -> None:
        self.sent: type[Interrupt] | None = None
        self.has_begun = False
        self._asked: type[Interrupt] | None = None
        self._task: asyncio.Task[object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def perform(self, job: Awaitable[T], soft_seconds: float | None) -> T:
        """Await the job.

        Raises:
            TimeLimitExceeded, Cancelled: it was cancelled for that.
        """
        self._task = asyncio.current_task()
        self.has_begun = True
        # First visible, then look, while ``interrupt_soon`` does the reverse: neither misses the other.
        self._loop = asyncio.get_running_loop()
        if self._asked is not None:
            self.interrupt(self._asked)
        timer = None
        if soft_seconds is not None:
            timer = self._loop.call_later(soft_seconds, self.interrupt, TimeLimitExceeded)
        try:
            value = await job
        except BaseException as error:
            self._end(error)
            raise
        else:
            self._end(None)
            return value
        finally:
            self._task = None
            if timer is not None:
                timer.cancel()

    def interrupt(self, error: type[Interrupt]) -> None:
        """Cancel the job for this reason. On the loop's thread."""
        if self.sent is None:
            self.sent = error
            if self._task is not None:
                self._task.cancel()

    def interrupt_soon(self, error: type[Interrupt]) -> None:
        """The same, from any thread; if it has not begun yet, as soon as it does."""
        self._asked = error
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed: it has ended.
                self._loop.call_soon_threadsafe(self.interrupt, error)

    def _end(self, error: BaseException | None) -> None:
        if self.sent is None:
            return
        if self._task is not None:
            self._task.uncancel()
        said = "was cancelled while it was performed" if self.sent is Cancelled else "was over its time limit"
        raise self.sent(f"The attempt {said}.") from error
