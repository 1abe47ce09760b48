"""The shops of ``examples/``, each started by the line that its page names, on SQLite or on PostgreSQL and Redis."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
ON = ("sqlite", "postgresql+redis")
_PORTS = {"fastapi_shop": "UVICORN_PORT", "flask_shop": "FLASK_RUN_PORT"}


@dataclass(frozen=True)
class Shop:
    """A shop that serves: its address, its ledger, and what it has printed."""

    url: str
    ledger: str
    log: Path

    def answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def services(request: pytest.FixtureRequest, folder: Path, on: str) -> tuple[str, str | None]:
    """The URL of a ledger and of a ready index; the ledger has no tables yet."""
    if on == "sqlite":
        return f"sqlite:///{folder / 'shop.db'}", None
    server, valkey = request.getfixturevalue("pg_server"), request.getfixturevalue("redis_server")
    server.start()
    valkey.start()
    with redis.Redis.from_url(valkey.url) as client:
        client.flushdb()
    return server.create_database(), valkey.url


def reloaded(page: Page, url: str, shows: Callable[[], bool]) -> bool:
    """Whether the page at ``url`` shows it in time."""

    def is_there() -> bool:
        page.goto(url)
        if not shows():
            # To load a page takes the browser more processor time than it takes the test.
            page.wait_for_timeout(300)
        return shows()

    return wait_until(is_there, seconds=60)


def line_of(shop: str) -> str:
    """The line that the shop's module, or the page about Django, says to start it with."""
    if shop == "django_shop":
        page = (ROOT / "docs" / "django.md").read_text(encoding="utf-8")
        found = re.search(r"^    python examples/django_shop/(manage.py start)$", page, re.M)
        assert found is not None
        return f"exec python {found[1]}"
    text = (EXAMPLES / shop / "shop.py").read_text(encoding="utf-8")
    found = re.search(r"^    (export .* && .* shop.*)$", text, re.M)
    assert found is not None
    return found[1]


@contextmanager
def started(shop: str, folder: Path, ledger: str, redis: str | None) -> Iterator[Shop]:
    """A copy of the shop in ``folder``, until the block ends."""
    place = folder / shop
    shutil.copytree(EXAMPLES / shop, place)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = line_of(shop)
    made = Shop(f"http://127.0.0.1:{port}", ledger, folder / "shop.log")
    with made.log.open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", line], cwd=place, env=_environment(shop, port, ledger, redis), stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        assert wait_until(lambda: made.answers("/") or process.poll() is not None, seconds=60)
        assert process.poll() is None, made.log.read_text()
        yield made
    finally:
        _end(process)


def _environment(shop: str, port: int, ledger: str, redis: str | None) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "DJANGO_"))}
    # The commands of the line are those of this environment.
    ours |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ours |= {_PORTS[shop]: str(port), "JOBS_DATABASE_URL": ledger, "JOBS_SHUTDOWN": "3s", "JOBS_THREADS": "2"}
    return {**ours, **({"JOBS_REDIS_URL": redis} if redis else {})}


def _end(process: subprocess.Popen[bytes]) -> None:
    """As by Ctrl-C: the shop and its worker end."""
    for sign in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
            return
