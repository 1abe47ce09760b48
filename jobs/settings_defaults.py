"""Defaults of settings that a framework provides (Django's ``DATABASES``, say). The environment wins over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_readers: dict[str, Callable[[], Mapping[str, Any]]] = {}


def provide(origin: str, read: Callable[[], Mapping[str, Any]]) -> None:
    """Use what ``read`` returns as defaults from now on, by the names of the settings.

    Args:
        origin: who provides them, for ``jobledger config show``; a later call with the same origin replaces the reader.
        read: called whenever settings are read.
    """
    _readers[origin] = read


def withdraw(origin: str) -> None:
    """Use the defaults of ``origin`` no more."""
    _readers.pop(origin, None)


def provided() -> dict[str, Any]:
    """The provided defaults; None counts as not provided."""
    return {name: value for name, (value, _) in _with_origins().items()}


def origins() -> dict[str, str]:
    """Who provides each of them."""
    return {name: origin for name, (_, origin) in _with_origins().items()}


def _with_origins() -> dict[str, tuple[Any, str]]:
    found = {}
    for origin, read in _readers.items():
        found.update({name: (value, origin) for name, value in read().items() if value is not None})
    return found
