"""Ages and spans read the same on a terminal and on a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.formats.age import age, ago, short_span

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250ms"), (3.2, "3.2s"), (12.9, "12s"), (90, "1m30s"), (700, "11m"), (5400, "1h30m"), (90_000, "1d1h")],
)
def test_a_span_has_two_units_below_ten_of_the_larger(seconds: float, text: str) -> None:
    assert short_span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [(0.4, "now", "now"), (3.9, "3s", "3s ago"), (-300, "in 5m", "in 5m"), (172_800, "2d", "2d ago")],
)
def test_an_age_says_how_long_ago_a_moment_was_or_how_far_ahead_it_is(seconds: float, short: str, long: str) -> None:
    moment = NOW - timedelta(seconds=seconds)

    assert (age(moment, now=NOW), ago(moment, now=NOW)) == (short, long)
