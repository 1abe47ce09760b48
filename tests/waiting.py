"""Waiting for a fact, with a limit: what tests do instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

OFTEN_SECONDS = 0.02
"""The pause between two looks, if a look takes little time."""
RARELY_SECONDS = 0.2
"""The longest pause."""
MOST_SHARE = 0.1
"""Looking takes at most this share of a processor: what is waited for, and other tests, need it."""


def wait_until(fact: Callable[[], T], *, seconds: float) -> T:
    """Whether ``fact`` came true in time: its first true value, or its value at the time limit."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.thread_time()
        found = fact()
        looked = time.thread_time() - began
        if found or time.monotonic() >= deadline:
            return found
        time.sleep(min(max(OFTEN_SECONDS, looked * (1 / MOST_SHARE - 1)), RARELY_SECONDS))
