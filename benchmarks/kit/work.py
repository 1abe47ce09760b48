"""The measured jobs. A worker imports this module like an application's."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from jobs import Job, Retry

TEXT = "x" * 100
SOON = timedelta(seconds=1)


class Noop(Job):
    """Does nothing. Its arguments are a number and a text of 100 characters, as for the peers in the comparison."""

    a: int
    b: str = TEXT

    def perform(self) -> None:
        pass


class Late(Job):
    """Returns how many milliseconds after ``sent`` it started, by this machine's clock."""

    sent: float

    def perform(self) -> float:
        return (time.time() - self.sent) * 1000


class Sleeps(Job):
    """Occupies a thread."""

    seconds: float

    def perform(self) -> None:
        time.sleep(self.seconds)


class Waits(Job):
    """Occupies a coroutine."""

    seconds: float

    async def perform(self) -> None:
        await asyncio.sleep(self.seconds)


class Fails(Job, retry=Retry(max_attempts=2, first=SOON, cap=SOON, jitter="none")):
    """Fails once; the retry comes a second later."""

    a: int

    def perform(self) -> None:
        if self.run.attempt == 1:
            raise ValueError("the first attempt fails")


class Joined(Job):
    """Waits for children that do nothing, and counts them."""

    children: int

    def perform(self) -> int:
        return len(self.run.gather("children", (Noop(a=number) for number in range(self.children))))


class Answered(Job):
    """Waits for a signal."""

    def perform(self) -> None:
        self.run.wait_for("answer")
