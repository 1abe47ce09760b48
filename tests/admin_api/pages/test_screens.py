"""Every page at both widths and in both themes, over a full ledger: it fits, is accessible, and runs no foreign script.

``make faults`` puts screenshots into ``artifacts/pages``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Request, Response, Route, expect

from jobs.operations.access.sign_in import make_link
from jobs.operations.audit.operator import Operator
from tests.admin_api.pages.chromium import (
    ARTIFACTS,
    WAIT_MS,
    Watch,
    a_context,
    faults_of_access,
    needs_chromium,
    overflow,
    served,
    sign_in,
)
from tests.admin_api.pages.filled import HOSTILE, Places, harm
from tests.admin_api.pages.screens import Full, made
from tests.admin_api.pages.screens import browser as browser
from tests.admin_api.pages.screens import full as full
from tests.admin_api.pages.screens import kinds_as_they_were as kinds_as_they_were
from tests.conftest import MakeApp

pytestmark = [pytest.mark.slow, needs_chromium]
WIDTHS, THEMES = (1440, 375), ("light", "dark")
CHECKED = ((1440, "light"), (375, "dark"))


@pytest.fixture(scope="module")
def harmful(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Full:
    return made(sqlite_template, tmp_path_factory.mktemp("harmful"), harm)


def pages(places: Places) -> dict[str, str]:
    """Every page, by the name of its screenshot."""
    return {
        "overview": "/",
        "runs": "/runs",
        "runs-mistake": "/runs?where=" + quote("kind:ChargeCard stat:dead"),
        "runs-none": "/runs?where=kind:Nothing",
        "run": f"/runs/{places.run}",
        "run-family": f"/runs/{places.family}",
        "plan": "/actions/new?verb=replay&state=dead",
        "dead": "/dead",
        "errors": "/errors?since=7d",
        "stored": "/stored",
        "stored-value": f"/stored/{places.stored}",
        "queues": "/queues",
        "targets": "/targets",
        "forecasts": "/forecasts",
        "queue": "/queues/" + quote(HOSTILE["closing"][:100] if places.user == "none" else "mail", safe=""),
        "retention": "/retentions/new?name="
        + quote(HOSTILE["closing"][:100] if places.user == "none" else "mail", safe=""),
        "target": "/targets/new?what=kind&name=" + quote(places.kind, safe=""),
        "pause": "/pauses/new?what=queue&name=" + quote(HOSTILE["closing"][:100] if places.user == "none" else "mail"),
        "limits": "/limits",
        "limit": "/limits/" + quote(places.limit, safe=""),
        "limit-set": f"/limits/{quote(places.limit, safe='')}/acts/set",
        "breaker": "/breakers/" + quote(places.limit, safe=""),
        "breaker-release": f"/breakers/{quote(places.limit, safe='')}/release",
        "workers": "/workers",
        "schedules": "/schedules",
        "kinds": "/kinds",
        "kind": "/kinds/" + quote(places.kind, safe=""),
        "audit": "/audit",
        "action": f"/audit/{places.action}",
        "health": "/health",
        "users": "/users",
        "account": "/account",
        "no-page": "/nothing",
        **({} if places.user == "none" else {
            "edit": f"/runs/{places.known}/replay",
            "schedule": "/schedules/" + quote(places.schedule),
            "user": f"/users/{places.user}",
        }),
    }  # fmt: skip


def at_each_look(page: Page) -> Iterator[str]:
    """Shows the page at each width, in another theme; gives what it looks like."""
    # Colours differ by theme and content by width, so each is checked once.
    for width, theme in CHECKED:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        yield f"{width} {theme}"


def test_every_page_fits_its_window_and_is_accessible(browser: Browser, full: Full, make_app: MakeApp) -> None:
    app, places = make_app(full.url), full.places
    faults: list[str] = []
    with served(app) as base, a_context(browser, width=CHECKED[-1][0]) as context:
        page = context.new_page()
        watch = Watch(page)

        def check(name: str, path: str) -> None:
            page.goto(base + path)
            for look in at_each_look(page):
                faults.extend(f"{name}, {look}: {one}" for one in faults_of_access(page))
                if overflow(page):
                    faults.append(f"{name}, {look}: {overflow(page)} pixels too wide")

        check("sign-in", "/sign-in")
        sign_in(page, app, base)
        for name, path in pages(places).items():
            check(name, path)

    assert faults == []
    # Chromium itself logs the expected 404 and 422 responses.
    assert [one for one in watch.seen if "status of 4" not in one] == []


def test_no_text_of_an_enqueuer_runs_as_a_script_or_changes_a_page(
    browser: Browser, harmful: Full, make_app: MakeApp
) -> None:
    app, places = make_app(harmful.url), harmful.places
    faults: list[str] = []
    with served(app) as base, a_context(browser, width=CHECKED[-1][0]) as context:
        page = context.new_page()
        watch = Watch(page)
        sign_in(page, app, base)
        for name, path in harmful_pages(places).items():
            page.goto(base + path)
            faults += [f"{name}: {one}" for one in _forged(page)]
            faults += [f"{name}, {look}: {overflow(page)} too wide" for look in at_each_look(page) if overflow(page)]
        page.goto(f"{base}/runs/{places.run}")
        expect(page.locator("pre[aria-label=Arguments]")).to_contain_text("<svg/onload=alert(5)>")

    assert faults == []
    assert [one for one in watch.seen if "status of 4" not in one] == []


def harmful_pages(places: Places) -> dict[str, str]:
    script = {f"kind-{word}": text for word, text in HOSTILE.items() if word == "script"}
    return pages(places) | {name: "/kinds/" + quote(text[:200], safe="") for name, text in script.items()}


@pytest.mark.faults
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_pictures_of_every_page_are_taken(
    browser: Browser, full: Full, harmful: Full, make_app: MakeApp, width: int, theme: str
) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    wide: list[str] = []
    for what, ledger, shown in (("", full, pages), ("hostile-", harmful, harmful_pages)):
        app = make_app(ledger.url)
        with served(app) as base, a_context(browser, width=width, theme=theme) as context:
            page = context.new_page()
            page.goto(f"{base}/sign-in")
            page.screenshot(path=ARTIFACTS / f"{what}sign-in-{width}-{theme}.png")
            sign_in(page, app, base)
            for name, path in shown(ledger.places).items():
                page.goto(base + path)
                page.screenshot(path=ARTIFACTS / f"{what}{name}-{width}-{theme}.png", full_page=True)
                wide += [name] if overflow(page) else []

    assert wide == []


_FORGED = """() => {
  const found = [];
  const made = "script:not([src]), style, iframe, object, [onerror], [onload], [onmouseover]";
  const hidden = /[\\u202a-\\u202e\\u2066-\\u2069\\u200b\\u200e\\u200f\\u061c\\ufeff\\u001b\\u0007\\u009b]/;
  if (window.harmed) found.push("a script ran");
  if (document.querySelectorAll("h1").length > 1) found.push("a second heading");
  for (const one of document.querySelectorAll(made)) found.push("made an element: " + one.outerHTML.slice(0, 80));
  for (const one of document.querySelectorAll("a[href]")) {
    const where = new URL(one.getAttribute("href"), location.href);
    if (where.origin !== location.origin) found.push("made a link: " + where.href.slice(0, 80));
  }
  if (hidden.test(document.body.innerText)) found.push("a control reaches the page");
  // An id may hold these digits too.
  if (/(^|[^.\\d])49([^.\\d]|$)/.test(document.title.replace(/\\b[0-9a-f-]{8,}\\b/g, ""))) found.push("a template ran");
  return found;
}"""


def _forged(page: object) -> list[str]:
    """Elements that the hostile texts added to the page, if any."""
    found: list[str] = page.evaluate(_FORGED)  # type: ignore[attr-defined]
    return found


def test_a_page_is_readable_without_scripts(browser: Browser, full: Full, make_app: MakeApp) -> None:
    app, places = make_app(full.url), full.places
    with served(app) as base, a_context(browser, scripts=False) as context:
        page = context.new_page()
        page.goto(f"{base}/link?key={make_link(app, Operator('ada@desk'))}")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{base}/")
        # What a browser without scripts shows is what the server sent, so it need not be drawn.
        for path in pages(places).values():
            assert page.request.get(base + path, headers={"Accept": "text/html"}).text().count("<h1") == 1, path
        page.goto(f"{base}/runs?state=dead")
        page.get_by_role("link", name="ChargeCard").first.click()
        expect(page.get_by_text("It is dead because")).to_be_visible()
        assert page.locator(".copy").count() == 0, "no button that needs a script is there without one"


def test_keys_navigate_and_the_page_keeps_its_scroll_position(browser: Browser, full: Full, make_app: MakeApp) -> None:
    app = make_app(full.url)
    with served(app) as base, a_context(browser) as context:
        page = context.new_page()
        sign_in(page, app, base)
        page.goto(f"{base}/runs")
        page.keyboard.press("/")
        expect(page.locator("[data-query]")).to_be_focused()
        expect(page.get_by_role("status")).to_have_text("paused: you are typing", timeout=WAIT_MS)
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("j")
        at = page.locator("tr.at").get_attribute("data-key")
        assert at == page.locator("#live tr[data-key]").nth(1).get_attribute("data-key")

        with page.expect_response(is_refresh):
            page.keyboard.press("r")
        expect(page.locator(f'tr.at[data-key="{at}"]')).to_have_count(1)
        page.keyboard.press("x")
        expect(page.locator("[data-ticked]")).to_have_text("1 ticked")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.keyboard.press("k")
        expect(page.locator("tr.at")).to_have_count(1)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/runs/" in url)
        page.keyboard.press("g")
        page.keyboard.press("q")
        page.wait_for_url(f"{base}/queues")


def test_input_during_a_refresh_is_kept(browser: Browser, full: Full, make_app: MakeApp) -> None:
    app = make_app(full.url)
    with served(app) as base, a_context(browser) as context:
        page = context.new_page()
        sign_in(page, app, base)
        page.goto(f"{base}/runs")
        held: list[Route] = []
        page.route(lambda _: True, lambda route: held.append(route) if is_refresh(route) else route.continue_())
        before = page.locator("#live[data-before]")

        # A refresh on request shows the new rows, and the tick stays on its row.
        with page.expect_request(is_refresh):
            page.keyboard.press("r")
        page.keyboard.press("j")
        page.keyboard.press("x")
        expect(page.locator("[data-ticked]")).to_have_text("1 ticked")
        page.evaluate("document.getElementById('live').dataset.before = ''")
        held.pop().continue_()
        expect(before).to_have_count(0)
        expect(page.locator("tr.at input[name=id]")).to_be_checked()
        expect(page.locator("[data-ticked]")).to_have_text("1 ticked")
        page.keyboard.press("x")
        expect(page.locator("[data-ticked]")).to_have_text("all that match")

        # An automatic notice disappears again.
        with page.expect_request(is_refresh):
            page.evaluate("document.getElementById('live').dataset.before = ''")
        page.keyboard.press("/")
        held.pop().continue_()
        expect(page.get_by_role("status")).to_have_text("paused: you are typing", timeout=WAIT_MS)
        expect(before).to_have_count(1)


def is_refresh(what: Route | Request | Response) -> bool:
    """Whether the request is a refresh of the page."""
    request = what if isinstance(what, Request) else what.request
    return request.headers.get("hx-request") == "true"
