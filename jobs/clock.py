"""The only module that reads the time or random numbers; everything else is handed a ``Clock``."""

from __future__ import annotations

import random
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from uuid_utils import compat


class Clock(Protocol):
    """What reads time and chance; tests hand in one that they advance."""

    rng: random.Random

    def now(self) -> datetime:
        """This moment: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back. For spans only."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own time and chance."""

    def __init__(self, seed: int | None = None) -> None:
        # Jitter spreads load; it guards nothing, so it need not be unguessable.
        self.rng = random.Random(seed)  # noqa: S311

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def new_run_id() -> UUID:
    """A uuid7: ordered by when it was made, so that inserts go to one end of the index."""
    return compat.uuid7()


def new_token() -> UUID:
    """A random token for a claim: never a counter, for a lost claim commit must not repeat one."""
    return compat.uuid4()


def new_secret() -> str:
    """256 bits that nobody can guess, as text that fits a header or an address."""
    return secrets.token_urlsafe(32)
