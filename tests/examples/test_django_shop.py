"""examples/django_shop: one command starts it; an order is placed, approved and charged, by requests and in a browser;
a failed one leaves no run."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from jobs.database.engine import Database
from jobs.ledger.queries.find import list_runs
from jobs.ledger.run_records import RunRecord
from jobs.settings import Settings
from tests.admin_api.pages.chromium import WAIT_MS, a_browser, a_context, needs_chromium
from tests.examples.shops import ON, line_of, reloaded, services
from tests.waiting import wait_until

pytest.importorskip("django")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "django_shop"


class Browser:
    """Reads pages and sends their forms, with cookies."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cookies = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies)).open

    def get(self, path: str = "") -> str:
        with self._open(self._url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def is_up(self) -> bool:
        try:
            return "<h1>Orders</h1>" in self.get()
        except OSError:
            return False

    def send(self, path: str, **form: str) -> int:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get())
        assert token
        data = urllib.parse.urlencode({**form, "csrfmiddlewaretoken": token[1]}).encode()
        try:
            with self._open(self._url + path, data=data, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@dataclass(frozen=True)
class Shop:
    """A shop that serves: its address, its ledger, and what it has printed."""

    browser: Browser
    url: str
    ledger: str
    log: Path

    def runs(self) -> list[RunRecord]:
        database = Database(self.ledger, Settings.of(database_url=self.ledger))
        with database.read() as connection:
            found = list_runs(connection)
        database.close()
        return found


@pytest.fixture(scope="module")
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop, by its one command, for both tests; then it is told to stop."""
    folder = tmp_path_factory.mktemp("django_shop")
    ledger, redis = services(request, folder, request.param)
    if redis is None:
        environment = {"SHOP_DATABASE": ledger.removeprefix("sqlite:///")}
    else:
        environment = {"DATABASE_URL": ledger, "REDIS_URL": redis}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "DJANGO_"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    made = Shop(Browser(f"http://{address}/"), f"http://{address}", ledger, folder / "shop.log")
    with made.log.open("wb") as file:
        process = subprocess.Popen(
            ["sh", "-c", f"{line_of('django_shop')} {address}"],
            cwd=SHOP,
            env={**ours, "PATH": path, "PYTHONPATH": str(ROOT), **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        assert wait_until(lambda: made.browser.is_up() or process.poll() is not None, seconds=60)
        assert process.poll() is None, made.log.read_text()
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, made.log.read_text()


@pytest.mark.parametrize("serving", ON, indirect=True)
def test_an_order_is_placed_approved_and_charged(serving: Shop) -> None:
    browser, before = serving.browser, len(serving.runs())
    assert browser.send("order", item="yacht", amount="1001") == 409
    assert browser.send("order", item="book", amount="12") == 200
    page = browser.get()
    assert "book for 12" in page
    assert "yacht" not in page
    assert wait_until(lambda: re.search(r"<td>(READY|RUNNING)</td>\s*<td>[1-9]", browser.get()), seconds=60)

    order = re.findall(r'id="order-(\d+)"', page)[0]
    assert browser.send(f"approve/{order}") == 200
    charged = re.compile(rf"SUCCESSFUL</td>\s*<td>\d+</td>\s*<td>receipt {order} after \d+ attempts")
    assert wait_until(lambda: charged.search(browser.get()), seconds=60), serving.log.read_text()
    assert "Background jobs" not in browser.get("admin/login/"), "the admin pages are for staff"

    runs = serving.runs()
    assert {run.kind for run in runs} == {"shop.tasks.charge"}
    assert len(runs) == before + 1


@needs_chromium
# ``make test`` has it on SQLite, and ``make faults`` on both.
@pytest.mark.parametrize("serving", ["sqlite", pytest.param(ON[1], marks=pytest.mark.faults)], indirect=True)
def test_in_a_browser_an_order_is_placed_approved_and_done_and_the_failed_one_leaves_no_run(serving: Shop) -> None:
    before = {run.id for run in serving.runs()}
    with a_browser() as browser, a_context(browser, width=390) as context:
        page = context.new_page()
        page.goto(serving.url)
        page.get_by_label("Amount").fill("1001")
        page.get_by_role("button", name="Order").click()
        expect(page.get_by_text("Nothing was ordered.")).to_be_visible()
        assert {run.id for run in serving.runs()} == before

        page.goto(serving.url)
        page.get_by_label("Item").fill("lamp")
        page.get_by_role("button", name="Order").click()
        row = page.get_by_role("row").filter(has_text="lamp for 12")
        expect(row).to_be_visible()
        row.get_by_role("link", name="The run").click()
        password = re.search(r"as ann with the password (\S+)", serving.log.read_text())
        assert password is not None
        page.get_by_label("Username").fill("ann")
        page.get_by_label("Password").fill(password[1])
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name=re.compile("charge"))).to_be_visible()

        page.goto(serving.url)
        row.get_by_role("button", name="Approve").click()
        assert reloaded(page, serving.url, lambda: "SUCCESSFUL" in row.inner_text()), serving.log.read_text()
        assert re.search(r"receipt \d+ after \d+ attempts", row.inner_text())
        row.get_by_role("link", name="The run").click()
        expect(page.get_by_text("It succeeded at attempt")).to_be_visible(timeout=WAIT_MS)
    assert [run.state for run in serving.runs() if run.id not in before] == ["succeeded"]
