"""Rates as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.formats.rate import format_rate, parse_rate


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [("600/m", 600, 60), ("5/s", 5, 1), ("10/h", 10, 3600), ("24/D", 24, 86400), ("1_000/90s", 1000, 90)],
)
def test_a_rate_is_a_count_per_a_unit_or_a_span(text: str, count: int, seconds: int) -> None:
    assert parse_rate(text) == (count, timedelta(seconds=seconds))


@pytest.mark.parametrize("text", ["", "5", "/m", "5/", "-5/m", "5.5/m", "5/x", "five/m", "99999999999/m", "٣/m"])
def test_an_invalid_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate: write 600/m"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["600/m", "5/s", "10/h", "1/d", "100/1m30s", "7/250ms"])
def test_a_rate_is_shown_as_it_is_written(text: str) -> None:
    assert format_rate(*parse_rate(text)) == text
