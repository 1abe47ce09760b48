"""Maps kinds to job classes. Filled as applications define jobs; read by workers and operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobs.errors import DefinitionError, NotFound
from jobs.formats.nearest import did_you_mean

_classes: dict[str, Any] = {}
_aliases: dict[str, str] = {}


def register(cls: type, *, kind: str, aliases: Iterable[str] = ()) -> None:
    """Let ``cls`` perform runs of ``kind`` and of its former names.

    Raises:
        DefinitionError: another class has the name. The same class defined again (a reload) replaces itself.
    """
    for name in (kind, *aliases):
        other = _classes.get(name) or _classes.get(_aliases.get(name, ""))
        if other is not None and place_of(other) != place_of(cls):
            raise DefinitionError(
                f"Two jobs are called {name!r}: {place_of(other)} and {place_of(cls)}.",
                hint="Give one of them another name: class …(Job, kind='…').",
            )
    _classes[kind] = cls
    for alias in aliases:
        _aliases[alias] = kind


def find(kind: str) -> Any | None:
    """The class that performs ``kind``, by its name or a former one; None if this process does not know it."""
    return _classes.get(kind) or _classes.get(_aliases.get(kind, ""))


def get(kind: str) -> Any:
    """The class that performs ``kind``.

    Raises:
        NotFound: this process does not know it; the message names the nearest.
    """
    found = find(kind)
    if found is None:
        raise NotFound(
            f"This process knows no job of the kind {kind!r}.",
            hint=did_you_mean(kind, kinds(), otherwise="Import its module: --import my.module, or JOBS_IMPORTS."),
        )
    return found


def kinds() -> list[str]:
    """Every kind that this process knows, without former names, sorted."""
    return sorted(_classes)


def names() -> list[str]:
    """Every name that runs may have here: kinds and their aliases, sorted."""
    return sorted({*_classes, *_aliases})


def place_of(cls: type) -> str:
    """Where a class is defined: module and qualified name."""
    return f"{cls.__module__}.{cls.__qualname__}"


def forget(kind: str) -> None:
    """Remove a kind; for tests that define their own jobs."""
    _classes.pop(kind, None)
    for alias in [alias for alias, name in _aliases.items() if name == kind]:
        del _aliases[alias]
