"""Calls that take long in different ways, for the tests of time limits."""

from __future__ import annotations

import threading
import time

LIMIT = 30.0  # seconds until a test gives up waiting for a fact


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def spin_until(fact: threading.Event) -> None:
    """Spin without touching ``threading`` in Python: ``_flag`` is what ``is_set`` reads."""
    until = time.monotonic() + LIMIT
    while not fact._flag and time.monotonic() < until:  # type: ignore[attr-defined]
        pass


def nap(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.001)


def nap_five_seconds() -> None:
    for _ in range(5000):
        time.sleep(0.001)


def wait_then_nap(seconds: float) -> None:
    threading.Event().wait(0.2)
    nap(seconds)


def nothing_is_pending() -> None:
    """An interrupt still under way would arrive in here and fail the test."""
    for _ in range(1000):
        time.sleep(0)
