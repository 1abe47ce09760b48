"""The measured jobs with limits. Apart from the others: with one of them, a worker claims in transactions."""

from __future__ import annotations

import time
from datetime import timedelta

from benchmarks.kit.work import TEXT
from jobs import Job, Limit, Rate

COUNT, PER, BURST = 600, timedelta(minutes=1), 10


class KeyedNoop(Job, limits=Limit(2, by="account")):
    """Does nothing, two at once for each account."""

    account: int
    b: str = TEXT

    def perform(self) -> None:
        pass


class HotNoop(Job, limits=Limit(50)):
    """Does nothing, fifty at once."""

    a: int
    b: str = TEXT

    def perform(self) -> None:
        pass


class Export(Job, limits=Limit(2)):
    """Occupies a thread, two at once."""

    seconds: float

    def perform(self) -> None:
        time.sleep(self.seconds)


class Call(Job, limits=Rate(COUNT, per=PER, burst=BURST)):
    """Does nothing, ten within a second."""

    a: int

    def perform(self) -> None:
        pass
