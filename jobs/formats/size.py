"""Parses and formats amounts of memory: 512M, 2G, 65536."""

from __future__ import annotations

import re

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_SIZE = re.compile(r"(\d+)\s*([KMG]?)I?B?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes.

    >>> parse_size("512M")
    536870912

    Raises:
        ValueError: it is not an amount of memory.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{text!r} is not an amount of memory: write 512M or 2G.")
    return int(found[1]) * _UNITS[found[2].upper()]


def format_size(count: int) -> str:
    """The shortest exact text for it."""
    for unit in ("G", "M", "K"):
        if count % _UNITS[unit] == 0:
            return f"{count // _UNITS[unit]}{unit}"
    return str(count)
