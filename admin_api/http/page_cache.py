"""Page cache: pages rendered a moment ago, for visitors with the same permissions.

An open page refreshes every few seconds, so a page that many visitors have open gets many requests a second. Each
request identifies its visitor; the page is rendered once per lifetime. A cached page lives no longer than the refresh
interval, and any change made through this process drops the cache.

It pays for itself: a page that is cached takes 1.3 to 1.8 ms, and 5 to 48 ms without this cache, with the reports of
``cached_reports`` cached either way. Source: ``benchmarks.web_layers``, 20,000 runs on SQLite.
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
"""The maximum number of pages, and the maximum length of one. Source: decision; a list of 50 runs is about 45 kB, all
cached pages together 3 MB."""
SHARE, MOST_FRESH = 500, timedelta(seconds=5)
"""A page lives this many times as long as it took to render, up to a maximum. Source: decision, so that a page
under constant load takes a five-hundredth of a core; the maximum is the refresh interval (static/pages.js)."""


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A rendered page, and the route that rendered it."""

    body: bytes
    headers: list[tuple[bytes, bytes]]
    route: BaseRoute | None


class PageCache:
    """The pages of one process. Safe to share among threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pages: TtlCache[CachedPage] = TtlCache(clock, most=MOST_KEPT)

    def drop(self) -> None:
        """Drop all pages, because something has changed."""
        self._pages.drop()

    def find(self, key: Hashable) -> CachedPage | None:
        """The page, if it is cached and fresh."""
        return self._pages.find(key)

    def begin(self) -> tuple[float, int]:
        """The generation of a page that is rendered from now on; ``put`` checks it."""
        return self._clock.monotonic(), self._pages.drops

    def put(self, key: Hashable, page: Response, begun: tuple[float, int], route: BaseRoute | None = None) -> None:
        """Cache a page, unless something has changed since its rendering began."""
        at, drops = begun
        if page.status_code != 200 or len(page.body) > MOST_BYTES:
            return
        age = fresh_seconds(self._clock.monotonic() - at, share=SHARE, least=FRESH, most=MOST_FRESH)
        self._pages.put(key, CachedPage(bytes(page.body), list(page.raw_headers), route), until=at + age, drops=drops)
