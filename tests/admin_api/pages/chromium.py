"""A real browser: Debian's Chromium, driven by Playwright, and a server that serves the pages to it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from admin_api.main import listen, make_server, url_of
from jobs.app import App
from jobs.operations.access.sign_in import make_link
from jobs.operations.audit.operator import Operator
from tests.waiting import wait_until

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""What it needs in a container, and what keeps it from calling home."""
ARTIFACTS = Path(__file__).parents[3] / "artifacts" / "pages"
"""Where screenshots are kept, to be looked at."""
AXE = Path(__file__).with_name("axe") / "axe.min.js"
WAIT_MS = 60_000
expect.set_options(timeout=WAIT_MS)


def chromium() -> str | None:
    """The path of Chromium, if it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


needs_chromium = pytest.mark.skipif(chromium() is None, reason="Chromium is missing: make browser installs it (Debian)")


@contextmanager
def a_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield made
        made.close()


@contextmanager
def served(app: App) -> Iterator[str]:
    """Serve the pages of ``app`` on a thread; gives the URL."""
    listener = listen("127.0.0.1", 0)
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert wait_until(lambda: server.started, seconds=60)
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()


@contextmanager
def a_context(
    browser: Browser, *, width: int = 1440, theme: str = "light", scripts: bool = True
) -> Iterator[BrowserContext]:
    made = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        java_script_enabled=scripts,
    )
    made.set_default_timeout(WAIT_MS)
    yield made
    made.close()


def sign_in(page: Page, app: App, base: str, *, as_name: str = "ada@desk") -> None:
    """Sign in by a link, as from a shell."""
    page.goto(f"{base}/link?key={make_link(app, Operator(as_name))}")
    page.wait_for_url(f"{base}/")


class Watch:
    """Records what a page must not do: open a dialog, run foreign scripts, violate its policy, fail."""

    def __init__(self, page: Page) -> None:
        self.seen: list[str] = []
        page.on("dialog", lambda dialog: (self.seen.append(f"dialog: {dialog.message}"), dialog.dismiss())[0])
        page.on("pageerror", lambda error: self.seen.append(f"error: {error}"))
        page.on("console", lambda said: self.seen.append(f"{said.type}: {said.text}") if said.type == "error" else None)
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure))

    def _failed(self, url: str, why: str | None) -> None:
        # Leaving a page cancels its refresh.
        if why != "net::ERR_ABORTED":
            self.seen.append(f"failed: {url} {why}")


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def faults_of_access(page: Page) -> list[str]:
    """What axe-core finds that is serious or worse, each with its first element."""
    # Injected by the browser, because the page's policy forbids scripts.
    if not page.evaluate("!!window.axe"):
        page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['impact']}: {one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
