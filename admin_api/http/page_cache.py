"""Page cache: rendered pages of a moment ago, for visitors with the same permissions.

A page asks for itself every few seconds as long as it is open, so what many have open is asked for many times a second.
Who asks is found out each time; what they see is made once in a while. Nothing is kept for longer than until an open
page asks again, nor once anything was changed here.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta

from fastapi.responses import Response
from starlette.routing import BaseRoute

from jobs.clock import Clock
from jobs.operations.insight.cached_reports import FRESH
from jobs.operations.insight.ttl_cache import TtlCache, fresh_seconds

MOST_KEPT, MOST_BYTES = 64, 262_144
"""Pages, and what one may be long. Source: decision; lists of 50 runs are some 45 kB, all together 3 MB."""
SHARE, MOST_FRESH = 500, timedelta(seconds=5)
"""A page is kept for at least so many times as long as it took to make, up to that. Source: decision, a page that is
asked for without end takes a five-hundredth of a core; and how often an open page asks for itself (static/pages.js)."""


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A page as it is sent, and the route that made it."""

    body: bytes
    headers: list[tuple[bytes, bytes]]
    route: BaseRoute | None


class PageCache:
    """The pages of one process. Safe to share among threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pages: TtlCache[CachedPage] = TtlCache(clock, most=MOST_KEPT)

    def drop(self) -> None:
        """Forget all: something was changed."""
        self._pages.drop()

    def find(self, key: Hashable) -> CachedPage | None:
        """The page, if it is kept and fresh."""
        return self._pages.find(key)

    def begin(self) -> tuple[float, int]:
        """What ``put`` asks of a page that is made from now on."""
        return self._clock.monotonic(), self._pages.drops

    def put(self, key: Hashable, page: Response, begun: tuple[float, int], route: BaseRoute | None = None) -> None:
        """Keep a page, unless something was changed since it was begun."""
        at, drops = begun
        if page.status_code != 200 or len(page.body) > MOST_BYTES:
            return
        age = fresh_seconds(self._clock.monotonic() - at, share=SHARE, least=FRESH, most=MOST_FRESH)
        self._pages.put(key, CachedPage(bytes(page.body), list(page.raw_headers), route), until=at + age, drops=drops)
