"""A schedule as the columns of a row, and as words. ``from_data(to_data(s))`` equals ``s``, except for its job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import datetime, timedelta
from typing import Any

from cronsim.explain import explain

from jobs.errors import DefinitionError
from jobs.formats.duration import format_duration
from jobs.scheduling.cron import calendar, spelled_out
from jobs.scheduling.cron_step import shorten_steps
from jobs.scheduling.schedule import At, Cron, Every, Schedule

_TYPES: dict[str, type[Cron] | type[Every] | type[At]] = {"cron": Cron, "every": Every, "at": At}
_SPANS = {
    "interval": "interval_seconds",
    "catch_up_window": "catch_up_window_seconds",
    "jitter": "jitter_seconds",
}
_MOMENTS = ("anchor", "moment", "start", "end")
COLUMNS = (
    "type",
    "name",
    "expression",
    "timezone",
    "interval_seconds",
    "anchor",
    "moment",
    "catch_up",
    "max_catch_up",
    "catch_up_window_seconds",
    "overlap",
    "jitter_seconds",
    "start",
    "end",
)
"""The keys of a schedule's data: always all of them, None if a type does not have one."""


def to_data(schedule: Schedule) -> dict[str, Any]:
    """The schedule as JSON: text, numbers, None; spans in seconds, moments in ISO 8601. Without its job."""
    data: dict[str, Any] = dict.fromkeys(COLUMNS)
    data["type"] = next(name for name, kind in _TYPES.items() if isinstance(schedule, kind))
    for one in fields(schedule):
        value = getattr(schedule, one.name)
        if one.name == "job":
            continue
        if isinstance(value, timedelta):
            value = value.total_seconds()
        elif isinstance(value, datetime):
            value = value.isoformat()
        data[_SPANS.get(one.name, one.name)] = value
    return data


def from_data(data: Mapping[str, Any], *, job: Any = None) -> Schedule:
    """The schedule that ``data`` describes; missing or None values take their defaults.

    Raises:
        DefinitionError: an unknown type or key, a key of another type, a missing or an invalid value.
    """
    kind = _TYPES.get(str(data.get("type")))
    if kind is None:
        raise DefinitionError(f"A schedule's type is cron, every or at, got {data.get('type')!r}.")
    known = {_SPANS.get(one.name, one.name): one for one in fields(kind) if one.name != "job"}
    given: dict[str, Any] = {}
    for key, value in data.items():
        if key == "type" or (value is None and key in COLUMNS):
            continue
        if key not in known:
            raise DefinitionError(f"A schedule of type {data['type']} has no {key!r}; it has {', '.join(known)}.")
        given[known[key].name] = _value(key, known[key].name, value)
    for key, one in known.items():
        if one.default is MISSING and one.name not in given:
            raise DefinitionError(f"A schedule of type {data['type']} needs {key!r}.")
    return kind(job=job, **given)


def write_data(schedule: Schedule) -> str:
    """``to_data`` as JSON text, always the same for equal schedules."""
    return json.dumps(to_data(schedule), sort_keys=True, ensure_ascii=False)


def parse_data(text: str) -> Schedule:
    """The schedule that ``write_data`` wrote, in this release or an earlier one.

    Raises:
        DefinitionError: as ``from_data``.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise DefinitionError(f"A schedule's definition is a JSON object, got {text[:100]!r}.")
    expression = data.get("expression")
    if isinstance(expression, str) and len(expression.split()) in (5, 6):
        # Earlier releases stored steps that are refused today; their schedules keep working.
        data["expression"] = shorten_steps(expression)
    return from_data(data)


def describe(schedule: Schedule) -> str:
    """When the schedule is due, in words: ``At 03:00 every day (Europe/Paris)``."""
    match schedule:
        case Cron():
            words = explain(spelled_out(schedule.expression))
            words += "; either day will do" if calendar(schedule.expression).takes_either_day else ""
            words += f" ({schedule.timezone})"
        case Every():
            words = f"Every {format_duration(schedule.interval)}"
            words += f", counted from {_plain(schedule.anchor)}" if schedule.anchor else ""
        case At():
            words = f"Once, at {_plain(schedule.moment)}"
    words += f", from {_plain(schedule.start)}" if schedule.start else ""
    words += f", until {_plain(schedule.end)}" if schedule.end else ""
    return words + (f", spread over {format_duration(schedule.jitter)}" if schedule.jitter else "")


def _value(key: str, name: str, value: Any) -> Any:
    try:
        if name in _SPANS:
            return timedelta(seconds=value)
        return datetime.fromisoformat(value) if name in _MOMENTS else value
    except (TypeError, ValueError, OverflowError) as error:
        raise DefinitionError(f"A schedule's {key} cannot be {value!r}: {error}.") from None


def _plain(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ") + " UTC"
