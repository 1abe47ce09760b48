"""The jobs that are measured. A worker imports this module, as it would an application's."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from jobs import Job, Retry

TEXT = "x" * 100
SOON = timedelta(seconds=1)


class Noop(Job):
    """Does nothing: one number and a text of 100 characters, as with the peers it is compared with."""

    a: int
    b: str = TEXT

    def perform(self) -> None:
        pass


class Late(Job):
    """Says how many milliseconds after ``sent`` it was begun; both by this machine's clock."""

    sent: float

    def perform(self) -> float:
        return (time.time() - self.sent) * 1000


class Sleeps(Job):
    """Keeps a thread."""

    seconds: float

    def perform(self) -> None:
        time.sleep(self.seconds)


class Waits(Job):
    """Keeps a coroutine."""

    seconds: float

    async def perform(self) -> None:
        await asyncio.sleep(self.seconds)


class Fails(Job, retry=Retry(max_attempts=2, first=SOON, cap=SOON, jitter="none")):
    """Fails once, and is tried again a second later."""

    a: int

    def perform(self) -> None:
        if self.run.attempt == 1:
            raise ValueError("the first attempt fails")
