"""One raw value as text: for a table on a terminal, for TSV, and for JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from jobs.formats.duration import format_duration
from jobs.formats.escaping import escape_controls
from jobs.formats.unreadable import stored_of

SHORT_ID = 8
"""Characters of a short id: the last ones, because ids made in a row start alike."""


def short_id(identifier: object) -> str:
    return str(identifier)[-SHORT_ID:]


def age(moment: datetime, *, now: datetime) -> str:
    """``3s`` (ago), ``in 5m``, ``now``: short, for a column whose heading says that it is an age."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    span = format_duration(_coarse(abs(seconds)))
    return span if seconds > 0 else f"in {span}"


def aged(moment: datetime, *, now: datetime) -> str:
    """``3s ago``, ``in 5m``, ``now``: for use in a sentence."""
    if (stored := stored_of(moment)) is not None:
        return escape_controls(f"unreadable: {stored}")
    span = age(moment, now=now)
    return f"{span} ago" if moment < now and span != "now" else span


def table_cell(value: object, *, now: datetime, is_id: bool, is_wide: bool, utc: bool) -> str:
    """``value`` for a terminal: short ids and ages, unless ``is_wide``; ``-`` for none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if (stored := stored_of(value)) is not None and isinstance(value, datetime):
        return escape_controls(f"unreadable: {stored}")
    if isinstance(value, datetime) and not is_wide and not utc:
        return age(value, now=now)
    if isinstance(value, datetime):
        return _local(value, utc=utc).strftime("%Y-%m-%d %H:%M:%S" + ("Z" if utc else ""))
    if isinstance(value, timedelta):
        return format_duration(value)
    if (is_id or isinstance(value, UUID)) and not is_wide:
        return escape_controls(short_id(value))
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return escape_controls(_plain(value))


def tsv_cell(value: object, *, utc: bool) -> str:
    """``value`` in full for a program or a pipe: ISO-8601 times, spans in seconds, nothing for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if (stored := stored_of(value)) is not None and isinstance(value, datetime):
        return escape_controls(f"unreadable: {stored}")
    if isinstance(value, datetime):
        return _iso(_local(value, utc=utc))
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return escape_controls(_plain(value))


def jsonable(value: object) -> Any:
    """``value`` in types that JSON has: UTC ISO-8601 moments, spans in seconds, null for NaN and infinities."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        # Null if it cannot be read, so that no program takes the replacement for the stored moment.
        return None if stored_of(value) is not None else _iso(value.astimezone(UTC))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(inner) for inner in value]
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: jsonable(getattr(value, field.name)) for field in fields}
    return str(value)


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON in ASCII only, so that no control character or bidi mark reaches a terminal."""
    separators = (",", ": ") if indent else (", ", ": ")
    text = json.dumps(jsonable(value), ensure_ascii=True, indent=indent, separators=separators)
    # The one control character that JSON does not escape.
    return text.replace("\x7f", "\\u007f")


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)) or dataclasses.is_dataclass(value):
        # Without ensure_ascii, because people read this; the caller escapes controls.
        return json.dumps(jsonable(value), ensure_ascii=False, separators=(", ", ": "))
    return str(value)


def _coarse(seconds: float) -> timedelta:
    for size in (86400, 3600, 60, 1):
        # Two units below 10 of the larger, as in 1h30m; else only the larger.
        if seconds >= 10 * size:
            return timedelta(seconds=seconds // size * size)
        if seconds >= size:
            smaller = {86400: 3600, 3600: 60, 60: 1, 1: 1}[size]
            return timedelta(seconds=seconds // smaller * smaller)
    return timedelta(0)


def _local(moment: datetime, *, utc: bool) -> datetime:
    try:
        return moment.astimezone(UTC) if utc else moment.astimezone()
    except OverflowError:
        # The last hours of year 9999 overflow in zones east of UTC.
        return moment


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
