"""Changes of arguments that an operator gives with a replay: ``field`` or ``field.inner`` to a JSON value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.definition import registry
from jobs.errors import ArgumentsRefused, SelectorRefused


def inner(given: Any, path: str) -> object:
    """The value at ``path`` in arguments; None if there is none."""
    for part in path.split("."):
        given = given.get(part) if isinstance(given, dict) else None
    return given


def check_changes(changes: Mapping[str, Any], kinds: list[str]) -> None:
    """Refuse changes to fields that a kind does not have, before asking or doing anything.

    Raises:
        NotFound: this process does not know a kind.
        SelectorRefused: its job does not have a field.
    """
    for kind in kinds:
        cls = registry.get(kind)
        for path in changes:
            _field(path, cls)


def _field(path: str, cls: Any) -> None:
    name = path.partition(".")[0]
    if name not in cls.model_fields:
        raise SelectorRefused(
            f"{cls.options.kind} has no argument {name!r}.",
            hint=f"Its arguments: {', '.join(cls.model_fields) or 'none'}.",
        )


def set_argument(given: Any, path: str, value: Any, cls: Any) -> None:
    """Put ``value`` at ``path`` into the arguments of ``cls``.

    Raises:
        SelectorRefused: the class has no such field.
        ArgumentsRefused: a part of the path is not an object.
    """
    _field(path, cls)
    *outer, last = path.split(".")
    here = given
    for part in outer:
        here = here.setdefault(part, {}) if isinstance(here, dict) else None
        if not isinstance(here, dict):
            raise ArgumentsRefused(f"argument {path!r} cannot be set: {part!r} is not an object")
    here[last] = value
