"""Durations as people write them: ``90``, ``250ms``, ``30s``, ``5m``, ``1h30m``, ``7d``, ``2w``."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])")
MAX_DURATION = timedelta(days=36500)
"""A hundred years. Source: decision; longer spans overflow dates before they mean anything."""


def parse_duration(text: str) -> timedelta:
    """The span that ``text`` describes; a bare number is seconds.

    Raises:
        ValueError: not a span, or longer than a hundred years.
    """
    plain = text.strip().lower()
    try:
        seconds = float(plain) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", plain) else _sum_of_parts(plain)
        span = timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a duration: write 30s, 5m, 1h30m or 7d") from None
    if span > MAX_DURATION:
        raise ValueError(f"{text!r} is longer than a hundred years")
    return span


def format_duration(span: timedelta) -> str:
    """``span`` in its two largest units: ``1h30m``, ``2d``, ``250ms``."""
    seconds = span.total_seconds()
    if seconds < 0:
        return "-" + format_duration(-span)
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds else "0s"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole, parts = int(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def checked_delay(delay: timedelta, name: str) -> timedelta:
    """``delay`` itself, for the error or the option ``name`` that takes it.

    Raises:
        ValueError: it is no timedelta, or it is below zero.
    """
    if not isinstance(delay, timedelta) or delay < timedelta(0):
        raise ValueError(f"{name} takes a timedelta of zero or more, got {delay!r}")
    return delay


def _sum_of_parts(plain: str) -> float:
    parts = _PART.findall(plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        raise ValueError(plain)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
