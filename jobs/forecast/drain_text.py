"""Forecasts as text, for commands and pages."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.formats.duration import format_duration

if TYPE_CHECKING:
    from jobs.forecast.drain import Drain


def drain_text(drain: Drain | None) -> str | None:
    """``12m (9m to 18m)``, ``never at this rate``, or ``not known yet``."""
    if drain is None:
        return None
    if drain.likely is None or drain.soonest is None or drain.latest is None:
        return "not known yet"
    if drain.likely == 0:
        return "now"
    if math.isinf(drain.likely):
        return "never at this rate"
    latest = "never" if math.isinf(drain.latest) else _span(drain.latest)
    return f"{_span(drain.likely)} ({_span(drain.soonest)} to {latest})"


def _span(seconds: float) -> str:
    return format_duration(timedelta(seconds=max(1, round(seconds))))
