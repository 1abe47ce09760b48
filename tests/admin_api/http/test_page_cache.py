"""The page cache stores pages briefly, drops them on a change, and stores no failed or long page."""

from __future__ import annotations

import pytest
from fastapi.responses import HTMLResponse

from admin_api.http.page_cache import MOST_BYTES, SHARE, PageCache
from jobs.operations.insight.cached_reports import FRESH
from tests.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pages(clock: ManualClock) -> PageCache:
    return PageCache(clock)


def test_a_cached_page_is_unchanged_until_it_expires(pages: PageCache, clock: ManualClock) -> None:
    pages.put("here", HTMLResponse("<p>made</p>", headers={"Vary": "Cookie"}), pages.begin())

    found = pages.find("here")
    assert found is not None
    assert (found.body, dict(found.headers)) == (
        b"<p>made</p>",
        {b"vary": b"Cookie", b"content-type": b"text/html; charset=utf-8", b"content-length": b"11"},
    )
    assert pages.find("there") is None
    clock.at += FRESH.total_seconds()
    assert pages.find("here") is None


def test_slow_pages_stay_cached_for_longer_up_to_the_refresh_interval(pages: PageCache, clock: ManualClock) -> None:
    for key, took in (("soon", 0.001), ("dear", 3 / SHARE), ("dearest", 1.0)):
        clock.at = 0.0
        begun = pages.begin()
        clock.at = took
        pages.put(key, HTMLResponse("made"), begun)

    # Each age counts from the begin of the rendering.
    for at, left in ((1.9, 3), (2.1, 2), (2.9, 2), (3.1, 1), (4.9, 1), (5.0, 0)):
        clock.at = at
        assert sum(pages.find(key) is not None for key in ("soon", "dear", "dearest")) == left, at


def test_a_change_drops_all_pages_and_those_whose_rendering_began_before(pages: PageCache) -> None:
    pages.put("here", HTMLResponse("old"), pages.begin())
    begun = pages.begin()
    pages.drop()
    pages.put("there", HTMLResponse("read before the change"), begun)

    assert pages.find("here") is None
    assert pages.find("there") is None


@pytest.mark.parametrize(
    "page", [HTMLResponse("no", 422), HTMLResponse("gone", 303), HTMLResponse("x" * (MOST_BYTES + 1))]
)
def test_errors_redirects_and_long_pages_are_not_cached(pages: PageCache, page: HTMLResponse) -> None:
    pages.put("here", page, pages.begin())

    assert pages.find("here") is None
