"""Deadlines under a watchdog, and a clock that steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.worker.timeouts.slow_calls import LIMIT, spin
from worker.timeouts.deadline import Deadlines


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    made = Deadlines()
    yield made
    made.stop()


def swallow() -> str:
    with contextlib.suppress(BaseException):
        spin(LIMIT)
    return "finished all the same"
