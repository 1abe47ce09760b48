"""Finds stored values: the fields of a class that may hold some, and those in the values of its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from jobs.errors import DefinitionError
from jobs.storage.value import Stored

if TYPE_CHECKING:
    from uuid import UUID

    from jobs.app import App


def stored_fields(cls: Any, place: str) -> frozenset[str]:
    """The names of the fields that may hold stored values.

    Raises:
        DefinitionError: one of them is sealed, or a schedule would have to hold it.
    """
    found = frozenset(name for name, field in cls.model_fields.items() if _may_hold(field.annotation, set()))
    sealed = found & (cls._sealing.fields if cls._sealing is not None else frozenset())
    if sealed:
        raise DefinitionError(
            f"Argument {min(sealed)!r} of job {place} is sealed and stored: a store holds content as it is given.",
            hint="Encrypt the content yourself, or leave this argument out of Sealed and seal=True.",
        )
    return found


def stored_in(value: Any) -> Iterator[Stored[Any]]:
    """The stored values in the value of a field."""
    if isinstance(value, Stored):
        yield value
    elif isinstance(value, str | bytes | int | float | None):
        return
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from stored_in(one)
    elif isinstance(value, list | tuple | Set):
        for one in value:
            yield from stored_in(one)
    elif isinstance(value, BaseModel):
        for name in type(value).__pydantic_fields__:
            yield from stored_in(getattr(value, name, None))
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            yield from stored_in(getattr(value, part.name, None))


def written(app: App, job: Any) -> tuple[UUID, ...]:
    """Write those stored values of a job's arguments that are not written yet. Returns the ids of all of them.

    Raises:
        ArgumentsRefused, ServiceDown: as ``Stored.upload``.
    """
    found = []
    for name in job._stored_fields:
        for one in stored_in(getattr(job, name, None)):
            reference = one.write_to(app).reference
            assert reference is not None
            found.append(reference.id)
    return tuple(dict.fromkeys(found))


def _may_hold(annotation: Any, seen: set[Any]) -> bool:
    if annotation is Stored or get_origin(annotation) is Stored:
        return True
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        if annotation in seen:
            return False
        seen.add(annotation)
        if issubclass(annotation, BaseModel):
            return any(_may_hold(inner.annotation, seen) for inner in annotation.model_fields.values())
        return any(_may_hold(part.type, seen) for part in fields(annotation))
    return any(_may_hold(one, seen) for one in get_args(annotation))
