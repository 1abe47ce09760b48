"""Hides secrets in the data of runs: by what their kind declares, by names of fields, and wherever a value comes again.

A value that is hidden in a run's arguments is hidden in its result, its errors, its steps and its key too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jobs.definition.secret import WRITE_ONLY
from jobs.formats.secrets import hide_secrets, is_secret_name

HIDDEN, SEALED = "(hidden)", "(sealed)"
MIN_SECRET = 4
"""Shorter values are not searched for in other texts: they would hide every 1 and every yes. Source: decision."""
MAX_DEPTH = 64
_BRANCHES = ("anyOf", "oneOf", "allOf")


class Redaction:
    """Hides the secrets of one run, or of several; remembers the values that it has hidden.

    Args:
        names: names of fields that are secret wherever they occur, besides those that look like secrets.
        only_declared: hide what a schema marks, and not what only looks like a secret.
    """

    def __init__(self, names: Iterable[str] = (), *, only_declared: bool = False) -> None:
        self._only_declared = only_declared
        self._names = frozenset(names)
        self._values: set[str] = set()

    def arguments(self, value: Any, schema: Mapping[str, Any] | None) -> Any:
        """A copy of a kind's arguments with its secrets hidden; every value if its schema is unknown (None)."""
        if schema is None:
            return self._all_hidden(value)
        return self._by_schema(value, schema, schema.get("$defs", {}), 0)

    def data(self, value: Any) -> Any:
        """A copy of other JSON data: fields with secret names are hidden, and every value that was hidden before."""
        if _is_sealed(value):
            return SEALED
        if isinstance(value, dict):
            return {
                self.text(str(name)): self._hide(one) if self._is_secret(str(name)) else self.data(one)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self.data(one) for one in value]
        if isinstance(value, str):
            return self.text(value)
        return HIDDEN if not isinstance(value, bool) and value is not None and str(value) in self._values else value

    def text(self, text: str) -> str:
        """A copy of a text without the values that were hidden before, and without what has the form of a secret."""
        # The longest first: one may be a part of another.
        for secret in sorted(self._values, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text if self._only_declared else hide_secrets(text, HIDDEN)

    def _is_secret(self, name: str) -> bool:
        return name in self._names or (not self._only_declared and is_secret_name(name))

    def _by_schema(self, value: Any, schema: Any, definitions: Mapping[str, Any], depth: int) -> Any:
        if _is_sealed(value):
            return SEALED
        every = list(_alternatives(schema, definitions, depth))
        if any(one.get(WRITE_ONLY) for one in every) or depth > MAX_DEPTH:
            return self._hide(value)
        if isinstance(value, dict):
            return {
                name: self._hide(one)
                if self._is_secret(name)
                else self._by_schema(one, {"anyOf": _inner(every, name)}, definitions, depth + 1)
                for name, one in value.items()
            }
        if isinstance(value, list):
            items = {"anyOf": [inner for one in every for inner in _items(one)]}
            return [self._by_schema(one, items, definitions, depth + 1) for one in value]
        return hide_secrets(value, HIDDEN) if isinstance(value, str) else value

    def _hide(self, value: Any) -> Any:
        """Remember the values inside, and hide them."""
        if value is None or value == "" or value == HIDDEN:
            return value
        if _is_sealed(value):
            return SEALED
        for one in _leaves(value):
            text = str(one)
            if len(text) >= MIN_SECRET and not isinstance(one, bool):
                self._values.add(text)
                # As a traceback or a log shows it.
                self._values.add(repr(text)[1:-1])
        return HIDDEN

    def _all_hidden(self, value: Any) -> Any:
        if _is_sealed(value):
            return SEALED
        if isinstance(value, dict):
            return {name: self._all_hidden(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._all_hidden(one) for one in value]
        return self._hide(value)


def _is_sealed(value: Any) -> bool:
    """Whether it is the ciphertext of a sealed value, which is of no use without the ledger and its keys."""
    return isinstance(value, dict) and "$sealed" in value


def secret_names(schema: Mapping[str, Any] | None) -> set[str]:
    """The names of properties that a schema marks as secret, at any depth."""
    found: set[str] = set()
    waiting: list[Any] = [schema or {}]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            properties = one.get("properties", {})
            if isinstance(properties, Mapping):
                found |= {
                    str(name) for name, told in properties.items() if isinstance(told, Mapping) and told.get(WRITE_ONLY)
                }
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def _alternatives(schema: Any, definitions: Mapping[str, Any], depth: int) -> Iterable[Mapping[str, Any]]:
    """The schema itself, those that it refers to, and the branches of its choices."""
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield from _alternatives(definitions.get(reference.rpartition("/")[2]), definitions, depth + 1)
    for branch in _BRANCHES:
        for one in schema.get(branch, ()):
            yield from _alternatives(one, definitions, depth + 1)


def _inner(every: Iterable[Mapping[str, Any]], name: str) -> list[Any]:
    """What the schemas say of the property ``name``."""
    found = []
    for one in every:
        properties = one.get("properties", {})
        told = properties[name] if name in properties else one.get("additionalProperties")
        if isinstance(told, Mapping):
            found.append(told)
    return found


def _items(schema: Mapping[str, Any]) -> list[Any]:
    items = schema.get("items")
    return [*schema.get("prefixItems", ()), *([items] if isinstance(items, Mapping) else [])]


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif value is not None:
        yield value
