"""Draws the attempts of a run along a time line; long waits are cut short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin_api.pages.frame.template_filters import span, tone
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.states import RunState

WIDTH, HEIGHT, MARGIN = 800, 64, 8
BAR_Y, BAR_HEIGHT = 24, 18
LEAST_BAR, LEAST_GAP = 6.0, 14.0
MOST_SHARE = 6.0
"""A stretch is drawn at most this many times as long as the median one."""


@dataclass(frozen=True, slots=True)
class TimelineSpan:
    """An attempt or a wait: its place, style and text. ``number`` is the attempt's; None for a wait."""

    x: float
    width: float
    tone: str
    number: int | None
    label: str
    says: str


@dataclass(frozen=True, slots=True)
class Timeline:
    stretches: list[TimelineSpan]
    begin: datetime | None
    end: datetime | None
    is_cut: bool
    width: int = WIDTH
    height: int = HEIGHT
    y: int = BAR_Y
    bar: int = BAR_HEIGHT
    margin: int = MARGIN


def draw_attempts(run: RunRecord, attempts: Sequence[AttemptRecord], *, now: datetime) -> Timeline:
    """The waits and attempts of a run, first to last; ``attempts`` come latest first, as in the run's detail."""
    parts = _parts(run, attempts, now)
    if not parts:
        return Timeline([], None, None, False)
    seconds = [max(0.001, (end - begin).total_seconds()) for begin, end, *_ in parts]
    median = sorted(seconds)[len(seconds) // 2]
    cut = [min(one, median * MOST_SHARE) for one in seconds]
    least = [LEAST_BAR if number is not None else LEAST_GAP for _, _, _, number, _ in parts]
    room = WIDTH - 2 * MARGIN - sum(least)
    scale = max(0.0, room) / sum(cut)
    stretches, x = [], float(MARGIN)
    for (begin, end, word, number, says), length, low in zip(parts, cut, least, strict=True):
        width = low + length * scale
        took = span((end - begin).total_seconds())
        label = took if width > 8 + 6.5 * len(took) else ""
        stretches.append(
            TimelineSpan(
                round(x, 1), round(width, 1), tone(word) if number is not None else "wait", number, label, says
            )
        )
        x += width
    return Timeline(stretches, parts[0][0], parts[-1][1], cut != seconds)


_Part = tuple[datetime, datetime, str, int | None, str]


def _parts(run: RunRecord, attempts: Sequence[AttemptRecord], now: datetime) -> list[_Part]:
    found: list[_Part] = []
    ordered = sorted(attempts, key=lambda one: one.attempt)
    at = run.created_at if not ordered or ordered[0].attempt == 1 else ordered[0].started_at
    for one in ordered:
        if one.started_at > at:
            found.append((at, one.started_at, "wait", None, f"waited {_took(at, one.started_at)}"))
        ended = f"{one.outcome.value.replace('_', ' ')} after {_took(one.started_at, one.finished_at)}"
        said = f"attempt {one.attempt} {ended}"
        found.append((one.started_at, one.finished_at, one.outcome.value, one.attempt, said))
        at = max(at, one.finished_at)
    if run.state is RunState.RUNNING and run.started_at is not None:
        if run.started_at > at:
            found.append((at, run.started_at, "wait", None, f"waited {_took(at, run.started_at)}"))
        until = max(now, run.started_at + timedelta(milliseconds=1))
        found.append((run.started_at, until, "running", run.attempt, f"attempt {run.attempt} is running"))
    elif run.finished_at is None and now > at:
        found.append((at, now, "wait", None, f"waiting for {_took(at, now)}"))
    return found


def _took(begin: datetime, end: datetime) -> str:
    return span((end - begin).total_seconds())
