"""The only module that reads the time or random numbers; all other code receives a ``Clock``."""

from __future__ import annotations

import random
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from uuid_utils import compat


class Clock(Protocol):
    """Source of time and random numbers; tests pass one that they advance."""

    rng: random.Random

    def now(self) -> datetime:
        """The current time: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back. Use it only for spans."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock and random number generator."""

    def __init__(self, seed: int | None = None) -> None:
        # Jitter only spreads load, so it need not be unpredictable.
        self.rng = random.Random(seed)  # noqa: S311

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def doubled(first: float, times: int, *, most: float) -> float:
    """``first`` doubled ``times`` times, 0 or more, and never above ``most``: the waits of a back-off, in seconds."""
    # The exponent is bounded, because a product of large floats overflows before ``most`` applies.
    return min(most, first * 2.0 ** min(times, 64))


def new_run_id() -> UUID:
    """A uuid7: ordered by creation time, so that inserts go to one end of the index."""
    return compat.uuid7()


def new_token() -> UUID:
    """A random token for a claim. Not a counter, because a claim whose commit was lost must never repeat a token."""
    return compat.uuid4()


def new_secret() -> str:
    """A secret of 256 random bits, as text that fits a header or a URL."""
    return secrets.token_urlsafe(32)
