"""Marks arguments that hold a secret or personal data: ``Secret[str]``, ``Sealed[str]``, and three class options.

``Secret`` and ``redact`` mark the property as ``writeOnly`` in the published JSON schema, the standard's word for it.
The ledger stores such an argument as any other; a bundle that leaves the ledger has it hidden. ``Sealed`` and ``seal``
also store it encrypted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, Field

from jobs.errors import DefinitionError

T = TypeVar("T")

WRITE_ONLY = "writeOnly"

Secret = Annotated[T, Field(json_schema_extra={WRITE_ONLY: True})]
"""The type of a secret argument: ``password: Secret[str]``. In ``perform`` it is a plain ``str``."""


def mark_redacted(schema: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The schema of a job's arguments with these properties marked."""
    if not names:
        return schema
    properties = {
        name: {**told, WRITE_ONLY: True} if name in names and isinstance(told, dict) else told
        for name, told in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


class _Mark:
    def __repr__(self) -> str:
        return "Sealed"


_SEALED = _Mark()
Sealed = Annotated[T, _SEALED, Field(json_schema_extra={WRITE_ONLY: True})]
"""The type of a sealed argument: ``card: Sealed[str]``. In ``perform`` it is a plain ``str``."""
SEALED_TYPE = "sealed"
"""The type of a sealed argument in the published schema: no value fits it, since only the class can seal one."""


class Sealing(NamedTuple):
    """What of a kind is sealed.

    Attributes:
        fields: names of its sealed arguments.
        seals_all: also its result, steps and cursors.
        subject: the field that names whose data it is; None: the keys of the file seal.
    """

    fields: frozenset[str]
    seals_all: bool
    subject: str | None


def sealing_of(cls: Any, place: str) -> Sealing | None:
    """What the class says; None if it seals nothing.

    Raises:
        DefinitionError: an option does not fit the others, or a limit, a breaker or a turn would show a sealed value.
    """
    options = cls.options
    names = {name for name, field in cls.model_fields.items() if _has_mark(field)}
    fields = frozenset(cls.model_fields if options.seal else names)
    if options.subject is not None and options.subject not in cls.model_fields:
        raise DefinitionError(
            f"Option subject of job {place} names {options.subject!r}, which is no field of it.",
            hint=f"Its fields are: {', '.join(cls.model_fields) or 'none'}.",
        )
    if not fields and not options.seal:
        if options.subject is not None:
            raise DefinitionError(
                f"Job {place} has a subject and seals nothing.",
                hint="Mark a field: card: Sealed[str], or say seal=True.",
            )
        return None
    if options.schedule is not None and fields:
        raise DefinitionError(
            f"Job {place} has a schedule and sealed arguments, which a schedule cannot hold.",
            hint="Give the schedule to another job, whose perform enqueues this one.",
        )
    for what, by in shown_keys(options):
        if by in fields or by not in cls.model_fields:
            raise DefinitionError(
                f"The {what} of job {place} is by {by!r}, which would show a sealed value.",
                hint="Use a field that is not sealed.",
            )
    return Sealing(fields, options.seal, options.subject)


def mark_sealed(schema: dict[str, Any], sealing: Sealing | None) -> dict[str, Any]:
    """The published schema, in which no value fits a sealed argument."""
    if sealing is None:
        return schema
    properties = {
        name: {"type": SEALED_TYPE, WRITE_ONLY: True} if name in sealing.fields else told
        for name, told in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def shown_keys(options: Any) -> Iterator[tuple[str, str]]:
    """What limits, breaker and turns are by: the ledger stores these values in clear."""
    for limit in options.limits:
        if limit.by is not None:
            yield "limit", limit.by
    if options.breaker is not None and options.breaker.by is not None:
        yield "breaker", options.breaker.by
    if options.fair_by is not None:
        yield "fair_by", options.fair_by
    if isinstance(options.fair_weight, str):
        yield "fair_weight", options.fair_weight


def _has_mark(field: Any) -> bool:
    """Whether a field, or anything inside its type, is marked: then all of it is sealed."""
    return any(isinstance(one, _Mark) for one in field.metadata) or _is_marked(field.annotation, set())


def _is_marked(annotation: Any, seen: set[Any]) -> bool:
    if isinstance(annotation, _Mark):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in seen:
            return False
        seen.add(annotation)
        return any(
            any(isinstance(one, _Mark) for one in inner.metadata) or _is_marked(inner.annotation, seen)
            for inner in annotation.model_fields.values()
        )
    return any(_is_marked(one, seen) for one in get_args(annotation))
