"""examples/django_shop: one command starts it; an order is placed, approved and charged; a failed one leaves no run."""

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
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.database.engine import Database
from jobs.ledger.queries.find import list_runs
from jobs.settings import Settings
from tests.waiting import wait_until

pytest.importorskip("django")

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


@contextmanager
def started(log: Path, **environment: str) -> Iterator[Browser]:
    """The shop, by its one command, until the block ends; then it is told to stop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "DJANGO_"))}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "start", address],
            cwd=SHOP,
            env={**ours, "PYTHONPATH": str(ROOT), **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    browser = Browser(f"http://{address}/")
    try:
        assert wait_until(lambda: browser.is_up() or process.poll() is not None, seconds=60)
        assert process.poll() is None, log.read_text()
        yield browser
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sqlite", "postgresql+redis"])
def test_an_order_is_placed_approved_and_charged(request: pytest.FixtureRequest, tmp_path: Path, mode: str) -> None:
    if mode == "sqlite":
        ledger = f"sqlite:///{tmp_path / 'shop.db'}"
        environment = {"SHOP_DATABASE": str(tmp_path / "shop.db")}
    else:
        server = request.getfixturevalue("pg_server")
        server.start()
        ledger = server.create_database()
        environment = {"DATABASE_URL": ledger, "REDIS_URL": request.getfixturevalue("redis_url")}
    log = tmp_path / "shop.log"

    with started(log, **environment) as browser:
        assert browser.send("order", item="yacht", amount="1001") == 409
        assert browser.send("order", item="book", amount="12") == 200
        page = browser.get()
        assert "book for 12" in page
        assert "yacht" not in page
        assert wait_until(lambda: re.search(r"<td>(READY|RUNNING)</td>\s*<td>[1-9]", browser.get()), seconds=60)

        (order,) = re.findall(r'id="order-(\d+)"', page)
        assert browser.send(f"approve/{order}") == 200
        assert wait_until(lambda: "SUCCESSFUL" in browser.get(), seconds=60), log.read_text()
        assert re.search(rf"receipt {order} after \d+ attempts", browser.get())
        assert "Background jobs" not in browser.get("admin/login/"), "the admin pages are for staff"

    database = Database(ledger, Settings.of(database_url=ledger))
    with database.read() as connection:
        assert [run.kind for run in list_runs(connection)] == ["shop.tasks.charge"]
    database.close()
