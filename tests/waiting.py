"""Waiting for a fact, with a limit: what tests do instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(fact: Callable[[], bool], *, seconds: float) -> bool:
    """Whether ``fact`` came true in time."""
    deadline = time.monotonic() + seconds
    while not (met := fact()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return met
