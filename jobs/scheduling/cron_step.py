"""Steps of cron expressions that are longer than their field: refused in new ones, shortened in stored ones.

``*/90 * * * *`` looks like "every 90 minutes". Cron counts steps from the field's first value and starts again with the
next hour, so it is hourly. A step of the whole field (``*/60``) is accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from jobs.errors import DefinitionError
from jobs.formats.duration import MAX_DURATION
from jobs.formats.shown import shown


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of an expression: the number of its values, its period, and the unit of ``Every``."""

    name: str
    size: int
    within: str
    unit: str | None


_FIELDS = (
    _Field("second", 60, "minute", "seconds"),
    _Field("minute", 60, "hour", "minutes"),
    _Field("hour", 24, "day", "hours"),
    _Field("day-of-month", 31, "month", "days"),
    _Field("month", 12, "year", None),
    _Field("day-of-week", 7, "week", "days"),
)
_STEP = re.compile(r"/([0-9]+)")


def refuse_long_steps(expression: str) -> None:
    """Refuse steps that are longer than their field. ``expression`` has five or six fields.

    Raises:
        DefinitionError: there is one; the hint is the ``Every`` with that interval.
    """
    for field, value in _fields(expression):
        for step in _STEP.findall(value):
            if _is_long(step, field):
                raise DefinitionError(
                    f"Cron({shown(expression)}): the step of {shown(value)} is longer than its field: {field.name} has"
                    f" {field.size} values, and cron starts again with each {field.within}.",
                    hint=_instead(step, field),
                )


def shorten_steps(expression: str) -> str:
    """The expression with such steps cut to their field, which moves no slot: for stored schedules."""
    return " ".join(_shortened(value, field) for field, value in _fields(expression))


def _fields(expression: str) -> list[tuple[_Field, str]]:
    values = expression.split()
    return list(zip(_FIELDS[6 - len(values) :], values, strict=True))


def _shortened(value: str, field: _Field) -> str:
    return _STEP.sub(lambda found: f"/{field.size}" if _is_long(found[1], field) else found[0], value)


def _is_long(step: str, field: _Field) -> bool:
    # By its digits first: Python does not parse a number of 5,000 digits.
    digits = step.lstrip("0")
    return len(digits) > 2 or int(digits or "0") > field.size


def _instead(step: str, field: _Field) -> str:
    digits = step.lstrip("0")
    if field.unit is None:
        return "Name the months: 0 0 1 JAN,JUL *. Every(timedelta(days=…)) counts days."
    if len(digits) > 10 or int(digits) > MAX_DURATION // timedelta(**{field.unit: 1}):
        return "Every(timedelta(…)) takes a hundred years at most."
    return f"Write Every(timedelta({field.unit}={digits})); on the command line, --every {digits}{field.unit[0]}."
