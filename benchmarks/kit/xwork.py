from __future__ import annotations

import asyncio
import time

from jobs import Job


class Burn(Job):
    """ms of pure python."""

    ms: float

    def perform(self) -> None:
        until = time.thread_time() + self.ms / 1000
        while time.thread_time() < until:
            pass


class Spin(Job):
    n: int

    def perform(self) -> None:
        x = 0
        for i in range(self.n):
            x += i * i


class Nap(Job):
    seconds: float

    async def perform(self) -> None:
        await asyncio.sleep(self.seconds)
