from __future__ import annotations

import pytest

from jobs.formats.size import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512M", 512 * 2**20),
        ("2G", 2 * 2**30),
        ("64k", 65536),
        ("1 GiB", 2**30),
        ("100MB", 100 * 2**20),
        ("65537", 65537),
    ],
)
def test_a_size_is_read_and_written_back(text: str, count: int) -> None:
    assert parse_size(text) == count
    assert parse_size(format_size(count)) == count


@pytest.mark.parametrize("text", ["", "0", "0M", "-1M", "1.5G", "many", "M"])
def test_an_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount of memory"):
        parse_size(text)
