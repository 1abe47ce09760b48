from __future__ import annotations

from types import SimpleNamespace

import pytest

from worker.exchange.outage_wait import outage_wait


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.1), (2, 0.2), (5, 1.6), (6, 2.0), (1000, 2.0)])
@pytest.mark.parametrize(("drawn", "factor"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_the_wait_doubles_up_to_two_seconds_with_half_of_jitter(failures, seconds, drawn, factor):
    clock = SimpleNamespace(rng=SimpleNamespace(random=lambda: drawn))

    assert outage_wait(failures, clock) == pytest.approx(seconds * factor)
