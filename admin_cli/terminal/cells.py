"""One raw value as text: for a table on a terminal, for TSV, and for JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

from jobs.formats.age import age, ago
from jobs.formats.duration import format_duration
from jobs.formats.escaping import escape_controls
from jobs.formats.jsonable import iso, jsonable
from jobs.formats.short_id import short_id
from jobs.formats.unreadable import stored_of


def aged(moment: datetime, *, now: datetime) -> str:
    """``3s ago``, ``in 5m``, ``now``: for use in a sentence."""
    if (stored := stored_of(moment)) is not None:
        return escape_controls(f"unreadable: {stored}")
    return ago(moment, now=now)


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
        return iso(_local(value, utc=utc))
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return escape_controls(_plain(value))


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


def _local(moment: datetime, *, utc: bool) -> datetime:
    try:
        return moment.astimezone(UTC) if utc else moment.astimezone()
    except OverflowError:
        # The last hours of year 9999 overflow in zones east of UTC.
        return moment
