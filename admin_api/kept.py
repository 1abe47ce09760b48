"""Kept: pages as they were shown a moment ago, for all who look at the same one and may see the same.

A page asks for itself every few seconds as long as it is open, so what many have open is asked for many times a second.
Who asks is found out each time; what they see is made once in a while. Nothing is kept for longer than figures are
fresh, nor once anything was changed here.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from fastapi.responses import Response

from jobs.clock import Clock
from jobs.operations.figures import FRESH
from jobs.operations.shelf import Shelf

MOST_KEPT, MOST_BYTES = 64, 262_144
"""Pages, and what one may be long. Source: decision; lists of 50 runs are some 45 kB, all together 3 MB."""


@dataclass(frozen=True, slots=True)
class _Page:
    body: bytes
    headers: dict[str, str]


class Kept:
    """The pages of one process. Safe to share among threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pages: Shelf[_Page] = Shelf(clock, most=MOST_KEPT)

    def drop(self) -> None:
        """Forget all: something was changed."""
        self._pages.drop()

    def find(self, key: Hashable) -> Response | None:
        """The page, if it is kept and fresh."""
        found = self._pages.find(key)
        return None if found is None else Response(found.body, headers=found.headers)

    def begin(self) -> tuple[float, int]:
        """What ``put`` asks of a page that is made from now on."""
        return self._clock.monotonic(), self._pages.drops

    def put(self, key: Hashable, page: Response, begun: tuple[float, int]) -> None:
        """Keep a page, unless something was changed since it was begun."""
        at, drops = begun
        if page.status_code != 200 or len(page.body) > MOST_BYTES:
            return
        headers = {name: value for name, value in page.headers.items() if name != "content-length"}
        self._pages.put(key, _Page(bytes(page.body), headers), until=at + FRESH.total_seconds(), drops=drops)
