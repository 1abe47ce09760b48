"""Ages and short spans, as tables and pages show them: ``3s``, ``1h30m``, ``in 5m``, ``2d ago``."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.formats.duration import format_duration


def short_span(seconds: float) -> str:
    """A span of zero seconds or more: two units below 10 of the larger, as in ``1h30m``; else only the larger."""
    return format_duration(timedelta(seconds=_coarse(seconds)))


def age(moment: datetime, *, now: datetime) -> str:
    """``3s`` (ago), ``in 5m``, ``now``: short, for a column whose heading says that it is an age."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    span = short_span(int(abs(seconds)))
    return span if seconds > 0 else f"in {span}"


def ago(moment: datetime, *, now: datetime) -> str:
    """``3s ago``, ``in 5m``, ``now``: for use in a sentence."""
    span = age(moment, now=now)
    return f"{span} ago" if moment < now and span != "now" else span


def _coarse(seconds: float) -> float:
    for size, smaller in ((86400, 3600), (3600, 60), (60, 1)):
        if seconds >= 10 * size:
            return seconds // size * size
        if seconds >= size:
            return seconds // smaller * smaller
    return seconds if seconds < 10 else float(int(seconds))
