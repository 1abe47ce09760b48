"""The switch interval of a worker process: shorter than Python's, unless the application chose one."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from worker.process.switch_interval import PYTHONS_OWN_SECONDS, SWITCH_SECONDS, shorten_switch_interval


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(("before", "after"), [(PYTHONS_OWN_SECONDS, SWITCH_SECONDS), (0.02, 0.02), (0.0001, 0.0001)])
def test_only_pythons_own_interval_is_shortened(before: float, after: float) -> None:
    sys.setswitchinterval(before)

    shorten_switch_interval()

    assert sys.getswitchinterval() == pytest.approx(after)
