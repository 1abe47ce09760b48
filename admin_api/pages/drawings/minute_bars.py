"""Computes the bars of attempts a minute; the template draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.ledger.queries.series import Minute

WIDTH, HEIGHT = 720, 140


@dataclass(frozen=True, slots=True)
class Bar:
    """A minute: its x position, the heights of its parts from the bottom up, and its text."""

    x: float
    width: float
    parts: list[tuple[str, float, float]]
    says: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``levels``: the labels of the lines, from the top down; ``times``: those of the time axis."""

    bars: list[Bar]
    levels: list[str]
    times: list[datetime]
    width: int = WIDTH
    height: int = HEIGHT


def draw_minutes(minutes: Sequence[Minute]) -> Chart:
    """The finished attempts by minute and outcome."""
    most = round_up_scale(max((one.succeeded + one.failed + one.other for one in minutes), default=0))
    scale = HEIGHT / most
    step = WIDTH / max(1, len(minutes))
    bars = []
    for number, one in enumerate(minutes):
        parts, y = [], float(HEIGHT)
        for tone, count in (("bad", one.failed), ("idle", one.other), ("good", one.succeeded)):
            # One failure among thousands must stay visible.
            height = max(2.0, count * scale) if count else 0.0
            if height:
                y -= height
                parts.append((tone, round(y, 1), round(height, 1)))
        said = f"{one.at:%H:%M} UTC: {one.succeeded:,} succeeded, {one.failed:,} failed"
        said += f", {one.other:,} interrupted" if one.other else ""
        bars.append(Bar(round(number * step, 2), round(max(1.0, step - 2), 2), parts, said))
    last = len(minutes) - 1
    times = [minutes[round(part * last / 4)].at for part in range(5)] if minutes else []
    return Chart(bars, [short(most), short(most / 2), "0"], times)


def round_up_scale(number: float) -> int:
    """The next of 2, 4, 10, 20, 40, 100 …, so that half of the scale is a whole number."""
    size = 1
    while True:
        for one in (2, 4, 10):
            if number <= one * size:
                return one * size
        size *= 10


def short(number: float) -> str:
    """``1.2k``."""
    if number < 1000:
        return f"{number:g}"
    return f"{number / 1000:g}k" if number < 1_000_000 else f"{number / 1_000_000:g}M"
