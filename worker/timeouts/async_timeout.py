"""Time limit and cancellation of a coroutine, awaited inside its own task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from jobs.clock import Clock
from jobs.errors import Cancelled, Interrupt, TimeLimitExceeded

T = TypeVar("T")


class Pausing:
    """Both limits of one attempt, which can be paused while the attempt waits for others.

    Args:
        hard_until: the moment of the hard limit.
        move_hard: called with the new moment when it changes.
    """

    def __init__(self, clock: Clock, limited: Limited, hard_until: float, move_hard: Callable[[float], None]) -> None:
        self._clock = clock
        self._limited = limited
        self._hard_until = hard_until
        self._move_hard = move_hard
        self._paused_at: list[float] = []

    def pause(self) -> None:
        if not self._paused_at:
            self._limited.pause()
            self._move_hard(float("inf"))
        self._paused_at.append(self._clock.monotonic())

    def resume(self) -> None:
        since = self._paused_at.pop()
        if not self._paused_at:
            self._hard_until += self._clock.monotonic() - since
            self._move_hard(self._hard_until)
            self._limited.resume()


class Limited:
    """The limits of one attempt. Once an interrupt was sent, the attempt ends by it, even if the job swallows it."""

    def __init__(self) -> None:
        self.sent: type[Interrupt] | None = None
        self.has_begun = False
        self._asked: type[Interrupt] | None = None
        self._task: asyncio.Task[object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left_seconds: float | None = None

    async def perform(self, job: Awaitable[T], soft_seconds: float | None) -> T:
        """Await the job.

        Raises:
            TimeLimitExceeded, Cancelled: the job was cancelled for this reason.
        """
        self._task = asyncio.current_task()
        self.has_begun = True
        # Publish first, then check; ``interrupt_soon`` does the reverse, so neither misses the other.
        self._loop = asyncio.get_running_loop()
        if self._asked is not None:
            self.interrupt(self._asked)
        self._set_timer(soft_seconds)
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
            self.pause()

    def pause(self) -> None:
        """Pause the time limit. Call it on the loop's thread."""
        if self._timer is not None and self._loop is not None:
            self._left_seconds = max(0.0, self._timer.when() - self._loop.time())
            self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        """Resume the time limit, if the job is still running."""
        if self._task is not None and self._timer is None:
            self._set_timer(self._left_seconds)

    def interrupt(self, error: type[Interrupt]) -> None:
        """Cancel the job for this reason. Call it on the loop's thread."""
        if self.sent is None:
            self.sent = error
            if self._task is not None:
                self._task.cancel()

    def interrupt_soon(self, error: type[Interrupt]) -> None:
        """The same, from any thread; a job that has not started yet is cancelled when it starts."""
        self._asked = error
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed, so the attempt has ended.
                self._loop.call_soon_threadsafe(self.interrupt, error)

    def _set_timer(self, seconds: float | None) -> None:
        if seconds is not None and self._loop is not None:
            self._timer = self._loop.call_later(seconds, self.interrupt, TimeLimitExceeded)

    def _end(self, error: BaseException | None) -> None:
        if self.sent is None:
            return
        if self._task is not None:
            self._task.uncancel()
        said = "was cancelled while it was performed" if self.sent is Cancelled else "was over its time limit"
        raise self.sent(f"The attempt {said}.") from error
