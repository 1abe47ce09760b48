"""Rates as people write them: ``600/m``, ``5/s``, ``10/h``, ``24/d``, ``100/90s``."""

from __future__ import annotations

from datetime import timedelta

from jobs.formats.duration import format_duration, parse_duration

_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_rate(text: str) -> tuple[int, timedelta]:
    """The count and the span that ``text`` describes.

    Raises:
        ValueError: it is no rate.
    """
    count, slash, per = text.strip().replace("_", "").replace(",", "").partition("/")
    try:
        if not slash or not count.isascii() or not count.isdigit() or len(count) > 10:
            raise ValueError(text)
        unit = per.strip().lower()
        return int(count), _UNITS[unit] if unit in _UNITS else parse_duration(unit)
    except ValueError:
        raise ValueError(f"{text!r} is not a rate: write 600/m, 5/s, 10/h or 100/90s") from None


def format_rate(count: int, per: timedelta) -> str:
    """The rate in the same form: ``600/m``."""
    unit = next((name for name, span in _UNITS.items() if span == per), None)
    return f"{count}/{unit or format_duration(per)}"
