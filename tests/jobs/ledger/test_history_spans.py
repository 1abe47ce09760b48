"""Spans of history cover all of it once, the latest first, and few of them cover many partitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobs.clock import new_run_id
from jobs.ledger.history_spans import near, spans

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(("periods", "count"), [(0, 1), (1, 2), (2, 3), (3, 3), (24, 6)])
def test_spans_touch_each_other_and_leave_nothing_out(periods: int, count: int) -> None:
    begins = [NOW - number * timedelta(days=30) for number in range(periods)]

    found = list(spans(begins))

    assert len(found) == count
    assert (found[0].end, found[-1].begin) == (None, None)
    assert [one.begin for one in found[:-1]] == [one.end for one in found[1:]]
    assert {one.begin for one in found[:-1]} <= set(begins)


def test_a_run_is_looked_for_near_the_time_of_its_id() -> None:
    span = near(new_run_id())

    assert span is not None
    assert span.begin is not None
    assert span.end is not None
    assert span.begin < datetime.now(UTC) < span.end
    assert near(UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")) is None  # A time that Python does not have.
    assert near(UUID("00000000-0000-4000-8000-000000000000")) is None  # No time at all.
