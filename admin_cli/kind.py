"""How a job is defined, as plain values: for `jobs kinds show`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from admin_cli.columns import Column

if TYPE_CHECKING:
    from jobs.job import Job
    from jobs.unique import Unique

FIELD_COLUMNS = (
    Column("name", heading="ARGUMENT", gives=1, min_width=12),
    Column("type", gives=3, min_width=10),
    Column("default", gives=2, min_width=8),
    Column("about", gives=4, min_width=12),
)


def definition_of(cls: type[Job]) -> dict[str, Any]:
    """What the job says of itself; spans as ``timedelta``, ``arguments`` as JSON Schema."""
    from jobs.registry import place_of
    from jobs.schedule_data import describe

    options, retry = cls.options, cls.options.retry
    doc = inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
    return {
        "kind": options.kind,
        "doc": doc or None,
        "aliases": list(options.aliases),
        "queue": options.queue,
        "priority": options.priority,
        "timeout": options.timeout,
        "unique": _unique(options.unique),
        "schedules": [describe(one) for one in options.schedules],
        "version": options.version,
        "isolated": options.isolated,
        "memory": options.memory,
        "place": place_of(cls),
        "retry": {
            "max_attempts": retry.max_attempts,
            "first": retry.first,
            "factor": retry.factor,
            "cap": retry.cap,
            "jitter": retry.jitter,
            "within": retry.within,
            "retry_on": [one.__name__ for one in retry.retry_on],
            "give_up_on": [one.__name__ for one in retry.give_up_on],
        },
        "arguments": cls.model_json_schema(),
    }


def arguments_of(cls: type[Job]) -> list[dict[str, object]]:
    """The job's arguments as rows: ``name``, ``type``, ``default`` and ``about``."""
    return [
        {
            "name": name,
            "type": _type(field.annotation),
            "default": "required" if field.is_required() else repr(field.get_default(call_default_factory=False)),
            "about": field.description,
        }
        for name, field in cls.model_fields.items()
    ]


def _type(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _unique(unique: Unique | None) -> str | None:
    from jobs.duration import format_duration

    if unique is None:
        return None
    if unique.hold is None:
        return "forever"
    return f"within {format_duration(unique.hold)}" if unique.hold else "while live"
