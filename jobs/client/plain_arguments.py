"""Writes the arguments of plain jobs, without reading them back: their class shows that their JSON reads back equal.

A class is plain if each field is text, a number, a truth value, an id, None, one of some words, or a list or dictionary
of these, and neither its schema nor its config changes a value on its way in or out. A job of it is plain if, besides,
each value has exactly that type: ``model_construct`` checks nothing. All others are written by ``write_arguments``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import SchemaSerializer, SchemaValidator

from jobs.definition.arguments import MAX_INT, MIN_INT, reads_itself, write_arguments
from jobs.fork_uses import serializer_uses

MAX_DEPTH = 8
"""Schemas within each other; deeper ones get the full check, which has a limit. Source: decision."""
_KEYS = {
    "model": {"cls", "schema", "config", "custom_init", "root_model", "frozen", "generic_origin", "ref"},
    "model-fields": {"fields", "model_name", "computed_fields"},
    "model-field": {"schema", "frozen"},
    "default": {"schema", "default", "default_factory", "default_factory_takes_data", "validate_default"},
    "nullable": {"schema"},
    "literal": {"expected"},
    "list": {"items_schema"},
    "dict": {"keys_schema", "values_schema"},
}
"""What a schema of each type may say; anything else, a limit or an alias say, may change or refuse a value."""
_CONFIG = {
    "title",
    "allow_inf_nan",
    "extra_fields_behavior",
    "validate_default",
    "validate_by_alias",
    "validate_by_name",
}

Test: TypeAlias = Callable[[Any], bool]
"""Whether a value is of exactly the type that a schema names."""


class _Kind(NamedTuple):
    """The tests of a schema: of one value, and of many at once."""

    fits: Test
    all_fit: Callable[[Collection[Any]], bool]


def arguments_of(job: BaseModel, *, kind: str, max_bytes: int) -> str:
    """``write_arguments``, which takes less time for plain jobs. Raises the same errors."""
    text = plain_text(job, max_bytes=max_bytes)
    return write_arguments(job, kind=kind, max_bytes=max_bytes) if text is None else text


def plain_text(job: Any, *, max_bytes: int) -> str | None:
    """The arguments of a plain job, as ``write_arguments`` writes them; None if the full check must decide."""
    cls: Any = type(job)
    tests, values = _tests_of(cls, cls.__pydantic_validator__), job.__dict__
    # A cached property is a value too, and a job that was made without validation may lack some.
    if tests is None or len(values) != len(tests):
        return None
    try:
        for name, fits in tests:
            if not fits(values[name]):
                return None
        with serializer_uses:
            data: bytes = job.__pydantic_serializer__.to_json(job, round_trip=True, by_alias=False, warnings=False)
    except Exception:
        # Half a character, say. The full check describes it.
        return None
    return None if len(data) > max_bytes or b"\\u0000" in data else data.decode()


@lru_cache(4096)
def _tests_of(cls: Any, validator: Any) -> tuple[tuple[str, Test], ...] | None:
    """The test of each field of a plain class; None for another class.

    Args:
        validator: that of the class, which is another one once the class was rebuilt.
    """
    model, fields = cls.__pydantic_core_schema__, {}
    if _has_own_code(cls, validator) or not _has_only(model, "model") or not _has_only(model["schema"], "model-fields"):
        return None
    config = model.get("config", {})
    is_changed = model.get("custom_init") or model.get("root_model") or model["schema"].get("computed_fields")
    if (
        is_changed
        or model["cls"] is not cls
        or config.keys() - _CONFIG
        or config.get("extra_fields_behavior") == "allow"
    ):
        return None
    for name, field in model["schema"]["fields"].items():
        kind = _kind_of(field["schema"], 0) if _has_only(field, "model-field") else None
        if kind is None:
            return None
        fields[name] = kind.fits
    return tuple(fields.items())


def _has_own_code(cls: Any, validator: Any) -> bool:
    """Whether code of an application or a plugin takes part in writing or reading it, or it is not complete yet."""
    return (
        type(validator) is not SchemaValidator
        or type(cls.__pydantic_serializer__) is not SchemaSerializer
        or getattr(cls, "_write_own", None) is not None
        or cls.model_dump_json is not BaseModel.model_dump_json
        or reads_itself(cls)
        or cls.__getattribute__ is not BaseModel.__getattribute__
    )


def _has_only(schema: Any, kind: str) -> bool:
    """Whether ``schema`` is of this type, and says nothing that we do not know."""
    return isinstance(schema, dict) and schema["type"] == kind and schema.keys() <= {"type", "metadata"} | _KEYS[kind]


def _kind_of(schema: Any, depth: int) -> _Kind | None:
    """The tests of a schema; None if it is none of those that we know."""
    name = schema["type"]
    if name in _SCALARS:
        return _SCALARS[name] if schema.keys() <= {"type", "metadata"} else None
    if name not in _KEYS or not _has_only(schema, name) or depth > MAX_DEPTH:
        return None
    if name == "literal":
        words = schema["expected"]
        return _words(frozenset(words)) if all(type(one) is str for one in words) else None
    if name == "dict" and schema.get("keys_schema") != {"type": "str"}:
        return None
    inner = next((schema[key] for key in ("schema", "items_schema", "values_schema") if key in schema), {"type": "any"})
    kind = _kind_of(inner, depth + 1)
    return None if kind is None else _AROUND[name](kind) if name in _AROUND else None


def _each(fits: Test) -> _Kind:
    return _Kind(fits, lambda values: all(map(fits, values)))


def _exactly(kind: type) -> _Kind:
    return _Kind(lambda value: type(value) is kind, lambda values: set(map(type, values)) <= {kind})


def _words(words: frozenset[str]) -> _Kind:
    return _each(lambda value: type(value) is str and value in words)


def _is_whole(value: Any) -> bool:
    return type(value) is int and MIN_INT <= value <= MAX_INT


def _is_finite(value: Any) -> bool:
    return type(value) is float and isfinite(value)


def _is_scalar(value: Any) -> bool:
    """Whether a field of any type may hold it; not a list or a dictionary, which may hold anything in turn."""
    return value is None or type(value) in (str, bool) or _is_whole(value) or _is_finite(value)


_TEXT = _exactly(str)
_SCALARS = {
    "any": _each(_is_scalar),
    "bool": _exactly(bool),
    "float": _each(_is_finite),
    "int": _each(_is_whole),
    "none": _exactly(type(None)),
    "str": _TEXT,
    "uuid": _exactly(UUID),
}
_AROUND: dict[str, Callable[[_Kind], _Kind]] = {
    "default": lambda inner: inner,
    "nullable": lambda inner: _each(lambda value: value is None or inner.fits(value)),
    "list": lambda inner: _each(lambda value: type(value) is list and inner.all_fit(value)),
    "dict": lambda inner: _each(
        lambda value: type(value) is dict and _TEXT.all_fit(value) and inner.all_fit(value.values())
    ),
}
