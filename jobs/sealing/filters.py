"""Filters by sealed arguments and keys: they compare keyed hashes, since the ledger does not know the values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jobs.definition import registry
from jobs.errors import SelectorRefused
from jobs.ledger.queries.selectors import Selector, is_pattern
from jobs.sealing.seal_errors import SealKeyMissing
from jobs.sealing.sealed_run import sealed_key
from jobs.sealing.seals import SealHost, hashable
from jobs.sealing.values import HASHED


def with_hashes(app: SealHost, selector: Selector) -> Selector:
    """The selector with hashes in place of values of sealed arguments, and with the hashed forms of its keys.

    It knows the sealed kinds of this process; among those that the selector names, if it names any. A selector that
    names none still finds runs of kinds that seal nothing, by a key or by a path into an argument, without the keys.

    Raises:
        SelectorRefused: an argument is sealed in several kinds, or the path goes into a sealed value.
        SealKeyMissing: this process has no keys.
    """
    if not selector.arguments and not selector.keys:
        return selector
    named = _named(selector)
    kinds = registry.kinds() if named is None else named
    sealed = {kind: cls for kind in kinds if (cls := registry.find(kind)) is not None and cls._sealing is not None}
    if not sealed:
        return selector
    is_named = named is not None
    return replace(
        selector,
        arguments=tuple(_hashed(app, sealed, path, value, is_named=is_named) for path, value in selector.arguments),
        keys=(*selector.keys, *_hashed_keys(app, sealed, selector, is_named=is_named)),
    )


def _named(selector: Selector) -> Sequence[str] | None:
    """The kinds that the selector names, if it names all that it means."""
    named = [kind for kind in selector.kinds if not is_pattern(kind)]
    return named if selector.kinds and len(named) == len(selector.kinds) else None


def _hashed_keys(app: SealHost, sealed: dict[str, Any], selector: Selector, *, is_named: bool) -> list[str]:
    keys = [key for key in selector.keys if not is_pattern(key) and not key.startswith("sealed:")]
    try:
        return [sealed_key(app, kind, key) for kind in sealed for key in keys]
    except SealKeyMissing:
        if is_named:
            raise
        return []


def _hashed(app: SealHost, sealed: dict[str, Any], path: str, value: str, *, is_named: bool) -> tuple[str, str]:
    name, _, inner = path.partition(".")
    kinds = [kind for kind, cls in sealed.items() if name in cls._sealing.fields]
    if not kinds or inner == HASHED or (inner and not is_named):
        return path, value
    if inner:
        raise SelectorRefused(f"The argument {name!r} is sealed as a whole.", hint=f"Select by {name}=VALUE.")
    if len(kinds) > 1:
        raise SelectorRefused(
            f"The argument {name!r} is sealed in several kinds.", hint=f"Name one: --kind {kinds[0]}."
        )
    return f"{name}.{HASHED}", app.seals.hash_text(app, kinds[0], name, hashable(_typed(sealed[kinds[0]], name, value)))


def _typed(cls: Any, name: str, text: str) -> Any:
    """The JSON value that ``text`` means for the field: text, if its type is text."""
    is_text = "str" in str(cls.model_fields[name].annotation)
    try:
        return text if is_text else json.loads(text)
    except ValueError:
        return text
