"""What a worker publishes of a job's class, and how arguments are checked against it without the class."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jobs.definition import registry
from jobs.definition.secret import mark_redacted, mark_sealed
from jobs.errors import ArgumentsRefused
from jobs.formats.stored_reference import STORED_TYPE

_TYPES: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class PublishedKind:
    """The options of a kind that a new run of it needs.

    Attributes:
        is_unique: whether a run of it needs a key.
        hold_seconds: how long its key is held after the run's enqueue; 0 while the run is live, None for ever.
        retain_seconds: how long its runs are kept after they ended; None as the settings say.
        schema: the JSON schema of its arguments, by the names of fields, as text; None if a type has none.
        latency_target_seconds: the latency of its ``target=``.
        success_target: the share of successes of its ``target=``.
    """

    kind: str
    queue: str
    priority: int
    max_attempts: int
    arguments_version: int
    is_unique: bool
    hold_seconds: float | None
    schema: str | None
    max_argument_bytes: int
    retain_seconds: float | None = None
    latency_target_seconds: int | None = None
    success_target: float | None = None


def published_kinds(max_argument_bytes: int) -> list[PublishedKind]:
    """Every kind of this process whose arguments are an object of fields: jobs, not dramatiq actors."""
    classes = (registry.get(name) for name in registry.kinds())
    return [published_kind(cls, max_argument_bytes) for cls in classes if getattr(cls, "_write_own", None) is None]


def check_published(published: PublishedKind, arguments: Mapping[str, Any]) -> None:
    """Refuse what the schema forbids, as far as missing fields, unknown fields and plain types go.

    The worker checks the rest, when it performs the run. The SQL function ``jobs_check_arguments`` does the same.

    Raises:
        ArgumentsRefused: ``field`` names the first that does not fit.
    """
    schema = json.loads(published.schema or "{}")
    fields = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in arguments:
            raise _unfit(published.kind, name, "is missing")
    for name, value in arguments.items():
        if name not in fields:
            if schema.get("additionalProperties") is False:
                raise _unfit(published.kind, name, "is no field of it")
            continue
        parts = fields[name].get("anyOf", [fields[name]])
        wanted = [part.get("type") for part in parts]
        if None in wanted:
            continue  # A part without a plain type.
        found = _TYPES.get(type(value), "")
        is_whole = found == "number" and float(value).is_integer() and "integer" in wanted
        if found not in wanted and not is_whole and not (found == "integer" and "number" in wanted):
            raise _unfit(published.kind, name, f"takes {' or '.join(wanted)}, got {found}")


@lru_cache(maxsize=4096)
def published_kind(cls: Any, max_argument_bytes: int) -> PublishedKind:
    """What a worker publishes of a job's class. Kept: a schema costs milliseconds, and each new process asks."""
    options = cls.options
    latency = options.target.latency if options.target is not None else None
    try:
        marked = mark_redacted(cls.model_json_schema(by_alias=False), options.redact)
        marked = _mark_stored(mark_sealed(marked, cls._sealing), cls._stored_fields)
        schema: str | None = json.dumps(marked, sort_keys=True)
    except Exception:  # A field's type has no JSON schema, or a default that is no JSON.
        schema = None
    return PublishedKind(
        kind=options.kind,
        queue=options.queue,
        priority=options.priority,
        max_attempts=options.retry.max_attempts,
        arguments_version=options.version,
        is_unique=options.unique is not None,
        hold_seconds=options.unique.hold_seconds if options.unique is not None else 0.0,
        schema=schema,
        max_argument_bytes=max_argument_bytes,
        retain_seconds=options.retain.total_seconds() if options.retain is not None else None,
        latency_target_seconds=round(latency.total_seconds()) if latency is not None else None,
        success_target=options.target.success_share if options.target is not None else None,
    )


def _mark_stored(schema: dict[str, Any], names: Set[str]) -> dict[str, Any]:
    """The published schema, in which no value fits an argument that may hold a stored value: only its class can."""
    properties = {
        name: {"type": STORED_TYPE} if name in names else of for name, of in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if names else schema


def _unfit(kind: str, field: str, why: str) -> ArgumentsRefused:
    return ArgumentsRefused(f"Arguments of {kind} do not fit: {field} {why}.", field=field)
