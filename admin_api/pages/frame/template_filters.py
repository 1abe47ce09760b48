"""Template filters: ages, counts with commas, JSON on lines; control characters are always escaped."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from markupsafe import Markup, escape

from jobs.formats import age
from jobs.formats.duration import format_duration
from jobs.formats.escaping import escape_controls, escape_lines
from jobs.formats.jsonable import jsonable
from jobs.formats.percent import format_percent
from jobs.formats.short_id import short_id
from jobs.formats.unreadable import stored_of
from jobs.ledger.run_records import AttemptRecord, RunRecord
from jobs.operations.runs.inspect import state_word

TONES = {
    "succeeded": "good", "active": "good", "finished": "good", "fired": "good", "backfilled": "good", "live": "good",
    "stored_missing": "bad", "stored_altered": "bad", "store_down": "warn", "incomplete": "warn", "unused": "warn",
    "dead": "bad", "failed": "bad", "broken": "bad", "crashed": "bad", "timed_out": "bad", "out_of_memory": "bad",
    "gave_up": "bad",
    "retrying": "warn", "parked": "warn", "waiting": "warn",
    "paused": "warn", "interrupted": "warn", "lost": "bad", "abandoned": "warn", "missed": "warn",
    "held": "warn",
    "running": "busy",
}  # fmt: skip
"""The colour of a word: green, red, amber or blue; others are grey."""


def tone(word: object) -> str:
    return TONES.get(str(word), "idle")


def plain(value: Any) -> Any:
    """Escapes a template's value; markup stays unchanged."""
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    if isinstance(value, Enum):
        return escape_controls(str(value.value))
    return escape_controls(value) if isinstance(value, str) else value


def exact(value: object) -> Markup:
    """A value that a form sends back unchanged: only HTML-escaped."""
    return escape(str(value))


def count(number: int) -> str:
    return f"{number:,}"


def size(bytes: int) -> str:
    """``3.1 MB``; decimal units, as file managers show sizes."""
    shown, unit = float(bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if shown < 1000:
            break
        shown, unit = shown / 1000, larger
    return f"{bytes} B" if unit == "B" else f"{shown:.1f} {unit}"


def span(value: timedelta | float | None) -> str:
    """``1h30m``, ``250ms``; nothing for none. A number is seconds."""
    if value is None:
        return ""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if 0 < seconds < 0.001:
        return "<1ms"
    return age.short_span(max(0.0, seconds))


def ago(moment: datetime | None, now: datetime) -> Markup:
    """``3m ago`` or ``in 5m``, with the moment as its tooltip."""
    if moment is None or stored_of(moment) is not None:
        return _unreadable(moment)
    iso = _iso(moment)
    return _time(iso, f"{_to_the_second(iso)} UTC", age.ago(moment, now=now))


def when(moment: datetime | None) -> str:
    """To the second, in UTC."""
    if moment is None or stored_of(moment) is not None:
        return _unreadable(moment).unescape()
    return _to_the_second(_iso(moment))


def stamp(moment: datetime | None) -> Markup:
    """The moment in full."""
    if moment is None or stored_of(moment) is not None:
        return _unreadable(moment)
    iso = _iso(moment)
    return _time(iso, "UTC", _to_the_second(iso))


def pretty(value: Any) -> Markup:
    """Indented JSON; text unchanged, with its control characters escaped."""
    return lines(_json(value, indent=2))


def lines(text: str | None) -> Markup:
    return escape("\n".join(escape_lines(text or "")))


def inline(value: Any) -> str:
    """A value on one line."""
    return _json(value)


def first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def error_of(row: RunRecord | AttemptRecord | Any) -> str:
    """``Class: first line of the message``."""
    if not row.error_type:
        return ""
    first = first_line(row.error_message)
    return f"{row.error_type}: {first}" if first else str(row.error_type)


def word_of(run: RunRecord, now: datetime) -> str:
    return state_word(run, now=now)


def _json(value: Any, *, indent: int | None = None) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(jsonable(value, span=format_duration), ensure_ascii=False, indent=indent)


def _time(iso: str, title: str, text: str) -> Markup:
    """A ``<time>`` element. ``title`` and ``text`` need no escaping: a page has a hundred, and escaping would take
    longer than formatting."""
    return Markup(f'<time datetime="{iso}" title="{title}">{text}</time>')  # noqa: S704


def _unreadable(moment: datetime | None) -> Markup:
    """Empty for None; for an unreadable moment, the text stored in the ledger."""
    return Markup("") if moment is None else escape(f"unreadable: {escape_controls(stored_of(moment) or '')}")


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def _to_the_second(iso: str) -> str:
    """``2026-01-31 09:00:00``, from the output of ``_iso``."""
    return f"{iso[:10]} {iso[11:19]}"


FILTERS = {
    "tone": tone, "exact": exact, "short": short_id, "count": count, "size": size, "span": span, "when": when,
    "stamp": stamp, "pretty": pretty, "lines": lines, "inline": inline, "error_of": error_of, "first_line": first_line,
    "shell": shlex.quote, "percent": format_percent,
}  # fmt: skip
