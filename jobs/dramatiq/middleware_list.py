"""A broker's middleware, with the ledger's own in place of some of dramatiq's.

Applications may assign the list, insert into it, or replace an element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dramatiq.middleware import Middleware


class MiddlewareList(list[Middleware]):
    """A list that passes each new element through ``ours``, which may return a replacement."""

    def __init__(self, ours: Callable[[Middleware], Middleware], given: Iterable[Middleware]) -> None:
        self._ours = ours
        super().__init__(map(ours, given))

    def append(self, one: Middleware) -> None:
        super().append(self._ours(one))

    def insert(self, place: Any, one: Middleware) -> None:
        super().insert(place, self._ours(one))

    def extend(self, given: Iterable[Middleware]) -> None:
        super().extend(map(self._ours, given))

    def __iadd__(self, given: Iterable[Middleware]) -> MiddlewareList:  # type: ignore[misc, override]
        self.extend(given)
        return self

    def __setitem__(self, place: Any, value: Any) -> None:
        super().__setitem__(place, list(map(self._ours, value)) if isinstance(place, slice) else self._ours(value))
