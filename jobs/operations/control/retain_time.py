"""How long ended runs are kept, as people write it: a time, ``never`` (delete none), or ``clear`` (set nothing)."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from jobs.formats.duration import format_duration, parse_duration

RetainWord = Literal["never", "clear"]
RetainTime = timedelta | RetainWord


def parse_retain_time(text: str) -> RetainTime:
    """What a text says.

    Raises:
        ValueError: it is neither of both words nor a time above zero.
    """
    plain = text.strip().lower()
    if plain == "never":
        return "never"
    if plain == "clear":
        return "clear"
    try:
        span = parse_duration(plain)
    except ValueError as error:
        raise ValueError(f"{error}, or never, or clear" if "is not a duration" in str(error) else str(error)) from None
    if not span:
        raise ValueError(f"{text!r} is not above zero: write 7d, never or clear")
    return span


def format_retain_time(seconds: float | None) -> str:
    """A time, or ``for ever``."""
    return "for ever" if seconds is None else format_duration(timedelta(seconds=seconds))
