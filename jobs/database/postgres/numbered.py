"""Numbers the parameters of a statement, as the server takes them. Imports no driver."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLACE = re.compile(r"%(?:\((\w+)\)s|%)")


def numbered(text: str, names: Iterable[str]) -> str:
    """A statement in psycopg's style with ``$1``, ``$2``, … for the parameters, in the order of ``names``."""
    places = {name: f"${place}" for place, name in enumerate(names, 1)}
    return _PLACE.sub(lambda found: places[found[1]] if found[1] else "%", text)


def names_in(text: str) -> list[str]:
    """The names of a statement's parameters, in the order in which they first occur."""
    return list(dict.fromkeys(found[1] for found in _PLACE.finditer(text) if found[1]))
