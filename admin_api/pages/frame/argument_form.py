"""A form made from a job's argument schema, and the arguments read back from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData

MISTAKES = object()
"""Not equal to any value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One argument.

    Attributes:
        form: ``text``, ``number``, ``choice``, ``bool`` or ``json``: the kind of input.
        text: the text in the field.
        value: the parsed value, if there is no ``mistake``.
        is_set: it was given; an empty optional field was not.
    """

    name: str
    form: str
    is_required: bool
    help: str
    choices: tuple[str, ...] = ()
    text: str = ""
    value: Any = None
    is_set: bool = False
    mistake: str = ""


def read_fields(
    schema: Mapping[str, Any] | None, given: Mapping[str, Any], form: FormData | None = None
) -> list[Field]:
    """The fields of a schema (without one, of the stored arguments), filled with ``given`` or with the form."""
    if schema is None:
        schema = {"properties": {name: {} for name in given}, "required": list(given)}
    required = set(schema.get("required", ()))
    found = []
    for name, said in schema.get("properties", {}).items():
        plain = _resolved(said, schema)
        how, choices = _how(plain)
        if name in given and how == "text" and not isinstance(given[name], str):
            how = "json" if given[name] is not None else how
        field = Field(
            name=name, form=how, choices=choices, is_required=name in required,
            help=str(plain.get("description") or _hint(plain)),
            text=_text(given[name], how) if name in given else _text(plain.get("default"), how),
        )  # fmt: skip
        found.append(_read(field, form) if form is not None else field)
    return found


def arguments_of(fields: list[Field]) -> dict[str, Any]:
    return {one.name: one.value for one in fields if one.is_set and not one.mistake}


def _read(field: Field, form: FormData) -> Field:
    if f"arg.{field.name}" not in form:
        return field
    text = str(form.get(f"arg.{field.name}", "")).replace("\r\n", "\n")
    field = replace(field, text=text)
    if text == "" and not field.is_required:
        return field
    try:
        return replace(field, value=_value(text, field), is_set=True)
    except (ValueError, RecursionError) as error:
        return replace(field, mistake=str(error))


def _value(text: str, field: Field) -> Any:
    match field.form:
        case "bool":
            return text == "true"
        case "number":
            return _number(text)
        case "json":
            return _json(text)
    return text


def _number(text: str) -> Any:
    try:
        found = json.loads(text.strip())
    except ValueError:
        raise ValueError("This is not a number.") from None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise ValueError("This is not a number.")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f'This is not JSON: {error}. Put text in quotes: "text".') from None


def _resolved(said: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A field's own schema, with its reference resolved, and without the null that makes it optional."""
    found = dict(said)
    for _ in range(5):
        name = found.get("$ref")
        if not isinstance(name, str):
            break
        more = schema.get("$defs", {}).get(name.rpartition("/")[2], {})
        found = {**more, **{key: value for key, value in found.items() if key != "$ref"}}
    several = [one for one in found.get("anyOf", ()) if one.get("type") != "null"]
    if len(several) == 1:
        found = {**_resolved(several[0], schema), **{key: value for key, value in found.items() if key != "anyOf"}}
    return found


def _how(said: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    choices = said.get("enum")
    if isinstance(choices, list) and all(isinstance(one, str) for one in choices):
        return "choice", tuple(choices)
    kind = said.get("type")
    if kind == "boolean":
        return "bool", ("true", "false")
    if kind in ("integer", "number"):
        return "number", ()
    if kind == "string" or {one.get("type") for one in said.get("anyOf", ())} == {"number", "string"}:
        return "text", ()
    return "json", ()


def _hint(said: Mapping[str, Any]) -> str:
    kind = said.get("format") or said.get("type")
    return {"date-time": "A moment: 2026-11-01T10:00:00Z", "date": "A day: 2026-11-01", "uuid": "A UUID",
            "integer": "A whole number", "number": "A number", "array": "JSON: [1, 2]", "object": "JSON: {…}",
            }.get(str(kind), "")  # fmt: skip


def _text(value: Any, how: str) -> str:
    if value is None:
        return "null" if how == "json" else ""
    if how == "bool":
        return "true" if value else "false"
    return value if isinstance(value, str) and how != "json" else json.dumps(value, ensure_ascii=False, indent=2)
