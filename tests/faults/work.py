"""The load of the fault suite: jobs that each write one row in their run's own transaction, some of which fail."""

from __future__ import annotations

import ctypes
import random
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from jobs import FOREVER, Job, Limit, Rate, Retry

SOON = Retry(max_attempts=20, first=timedelta(seconds=0.2), cap=timedelta(seconds=1))
"""Enough attempts that faults never exhaust them, with short waits, so that the drain shows our own delays."""

CREATE_EFFECTS = """create table effects (
    n integer not null, run_id varchar(36) not null, attempt integer not null,
    at timestamp with time zone not null default current_timestamp, node_time double precision not null
)"""
"""``at`` is by the database's clock, ``node_time`` (seconds since 1970) by that of the machine that performed."""
EFFECT = text("insert into effects (n, run_id, attempt, node_time) values (:n, :run_id, :attempt, :node_time)")


class Effect(Job, queue="load", retry=SOON, unique=FOREVER):
    """Write one row. Raises in ``failing`` of its attempts, before or after it has written."""

    n: int
    seed: int
    failing: float = 0.02
    sleep_seconds: float = 0.0
    steps: int = 0
    """Tenths of a second of work that a frozen process has yet to do when it is thawed."""

    def idempotency_key(self) -> str:
        return f"{self.seed}:{self.n}"

    def perform(self) -> None:
        chance = random.Random(f"{self.seed}:{self.n}:{self.run.attempt}")
        fails, early = chance.random() < self.failing, chance.random() < 0.5
        if self.sleep_seconds:
            time.sleep(self.sleep_seconds)
        for _ in range(self.steps):
            time.sleep(0.1)
        if fails and early:
            raise OSError("the fault suite's own, before the write")
        with self.run.transaction() as session:
            session.execute(
                EFFECT,
                {"n": self.n, "run_id": str(self.run.id), "attempt": self.run.attempt, "node_time": time.time()},
            )
        if fails:
            raise OSError("the fault suite's own, after the write")


ACCOUNTS, MOST, RATE, BURST = 50, 2, 400, 40
"""Of ``LimitedEffect``: more than twice the load a second, so that what a fault delays is made up in time."""


class LimitedEffect(
    Effect, limits=[Limit(MOST, by="account"), Rate(RATE, per=timedelta(seconds=1), burst=BURST, name="effects")]
):
    """The same under limits. An account has at most two live leases, and a second at most ``RATE + BURST`` starts."""

    def account(self) -> str:
        return str(self.n % ACCOUNTS)


class Hostile(Job, queue="load", retry=SOON):
    """Give back what it was given."""

    value: Any

    def perform(self) -> Any:
        return self.value


class Segfault(Job, queue="load", retry=SOON):
    """Take its process down."""

    def perform(self) -> None:
        ctypes.string_at(0)


class EatMemory(Job, queue="load", retry=SOON, memory="128M"):
    """Take more and more memory, and keep it, until there is none left to have."""

    def perform(self) -> None:
        kept = []
        while True:
            kept.append(b"x" * (8 << 20))


class Later(Job, queue="load", retry=SOON):
    """Enqueue an effect for later, by the clock of wherever this is performed."""

    n: int
    seed: int
    seconds: float

    def perform(self) -> None:
        Effect(n=self.n, seed=self.seed).enqueue(delay=timedelta(seconds=self.seconds))
