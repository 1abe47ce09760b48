"""The pages beside `jobs dev`, and the link that signs in to them once."""

from __future__ import annotations

import re
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.admin_cli.conftest import ROOT, Program
from tests.fork_server import jobledger
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
LIMIT = 60.0
SHOP = """
from jobs import Job

class Hello(Job):
    def perform(self): pass
"""


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """``jobledger dev`` in a new folder, and the file of its output."""
    (tmp_path / "shop.py").write_text(SHOP)
    said = tmp_path / "said.txt"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "JOBS_API_PORT": "0"}
    with said.open("wb") as file:
        child = subprocess.Popen(
            [*jobledger(), "dev", "--import", "shop"],
            cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    yield child, said
    if child.poll() is None:
        child.terminate()
        child.wait(LIMIT)


def ask(url: str, *, cookie: str = "", **form: str) -> tuple[int, str, str]:
    """The status, the cookie and the text of a response; posts a form as our page does."""
    parts = urllib.parse.urlsplit(url)
    headers = {"Accept": "text/html", "Cookie": cookie, "Origin": f"{parts.scheme}://{parts.netloc}"}
    data = urllib.parse.urlencode(form).encode() if form else None

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object, **kwargs: object) -> None:
            return None

    try:
        answer = urllib.request.build_opener(Stay).open(urllib.request.Request(url, data, headers), timeout=10)
    except urllib.error.HTTPError as error:
        answer = error  # type: ignore[assignment]
    with answer:
        return answer.status, (answer.headers["set-cookie"] or "").partition(";")[0], answer.read().decode()


def test_dev_serves_the_pages_with_a_link_that_signs_in_once_and_ends_them_with_itself(
    dev: tuple[subprocess.Popen[bytes], Path],
) -> None:
    child, said = dev
    assert wait_until(lambda: "/link?key=" in said.read_text(), seconds=LIMIT), said.read_text()
    (link,) = re.findall(r"http://127\.0\.0\.1:\d+/link\?key=\S+", said.read_text())
    base, key = link.partition("/link?key=")[::2]

    status, cookie, _ = ask(f"{base}/link", key=key)
    assert (status, bool(cookie)) == (303, True)
    status, _, text = ask(f"{base}/kinds", cookie=cookie)
    assert (status, "Hello" in text) == (200, True)
    assert ask(f"{base}/link", key=key)[0] == 401

    child.send_signal(signal.SIGINT)
    assert child.wait(LIMIT) in (0, 130)
    assert wait_until(lambda: _is_gone(base), seconds=LIMIT)


def _is_gone(base: str) -> bool:
    try:
        ask(base)
    except OSError:
        return True
    return False


def test_the_command_line_prints_a_sign_in_link(program: Program) -> None:
    said = program("api", "link", "--url", "https://jobs.example.org/")

    assert said.code == 0
    assert re.fullmatch(r"https://jobs\.example\.org/link\?key=[\w-]{40,}\n", said.out)
