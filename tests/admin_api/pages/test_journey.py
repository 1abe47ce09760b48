"""An operator handles a failure, in a real browser, with a real server and a real worker."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from jobs import boot
from jobs.app import App
from jobs.definition import registry
from jobs.operations.access.users import create_user
from jobs.operations.audit.operator import Operator
from tests.admin_api.conftest import PASSWORD
from tests.admin_api.pages.chromium import WAIT_MS, Watch, a_browser, a_context, faults_of_access, needs_chromium
from tests.fork_server import jobledger
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, needs_chromium]
ROOT = Path(__file__).parents[3]
SHOP = "tests.admin_api.pages.shop"


@contextmanager
def program(app: App, said: Path, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """``jobledger`` over the ledger of ``app``, as people run it."""
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(said.parent),
        "PYTHONPATH": str(ROOT),
        "JOBS_DATABASE_URL": app.settings.database_url or "",
    }
    with said.open("wb") as file:
        child = subprocess.Popen(
            [*jobledger(), *args, "--import", SHOP],
            cwd=said.parent, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield child
    finally:
        child.terminate()
        child.wait(40)


@pytest.fixture
def shop(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    known = set(registry.kinds())
    monkeypatch.setattr(boot, "configure", lambda made: made)
    from tests.admin_api.pages.shop import ChargeCard

    registry.register(ChargeCard, kind="shop.ChargeCard")
    for order in (41, 42, 43):
        ChargeCard(order_id=order, card="ok" if order != 42 else "declined").enqueue()
    yield app
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)


def test_an_operator_finds_a_dead_run_sees_why_replays_it_and_reads_the_audit(shop: App, tmp_path: Path) -> None:
    create_user(shop, Operator("root@desk"), "ada", password=PASSWORD, role="operator")
    serving, working = tmp_path / "serving.txt", tmp_path / "working.txt"
    with (
        program(shop, working, "worker"),
        program(shop, serving, "api", "serve", "--port", "0"),
        a_browser() as browser,
        a_context(browser, width=1440) as context,
    ):
        assert wait_until(lambda: "serving http" in serving.read_text(), seconds=60), serving.read_text()
        base = re.findall(r"serving (http://\S+?)[\s\"]", serving.read_text() + " ")[0]
        page = context.new_page()
        watch = Watch(page)

        # Sign in, first with a wrong password.
        page.goto(f"{base}/runs?state=dead")
        page.get_by_role("textbox", name="Name").fill("ada")
        page.get_by_label("Password").fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{base}/runs?state=dead")

        # The overview shows the problem, and its link leads to the run.
        page.get_by_role("link", name="Overview").click()
        trouble = page.get_by_role(
            "link", name=re.compile(r"1 of shop\.ChargeCard is dead: .*insufficient funds for order 42")
        )
        expect(trouble).to_be_visible(timeout=WAIT_MS)
        trouble.click()
        page.get_by_role("link", name="shop.ChargeCard", exact=True).click()
        expect(page.get_by_text("its budget of 2 attempts is spent")).to_be_visible()
        expect(page.locator("pre").filter(has_text='"order_id": 42')).to_be_visible()
        page.get_by_text("Traceback").first.click()
        expect(page.get_by_text("raise CardDeclined").first).to_be_visible()
        dead = page.url

        # Replay with other arguments: the plan first, with a reason.
        page.get_by_role("link", name="Edit and replay").click()
        page.get_by_role("textbox", name="card").fill("ok")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("heading", name="Replay 1 run")).to_be_visible()
        expect(page.get_by_text("nothing has been changed")).to_be_visible()
        page.get_by_role("textbox", name="Reason").fill("the bank was down")
        page.get_by_role("button", name="Replay 1 run").click()
        page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
        assert page.url != dead

        # It succeeds, and the open page refreshes itself without a reload.
        page.evaluate("window.isTheSame = true")
        page.mouse.move(0, 0)
        expect(page.get_by_text("It succeeded at attempt 1.")).to_be_visible(timeout=WAIT_MS)
        expect(page.locator("pre").filter(has_text="R-42")).to_be_visible()
        new = page.url.rpartition("/")[2]

        # The audit has who and why.
        page.get_by_role("link", name="Audit").click()
        row = page.get_by_role("row").filter(has_text="the bank was down")
        expect(row).to_contain_text("ada")
        row.get_by_role("link", name="replay").click()
        expect(page.get_by_role("link", name=new[-8:])).to_be_visible()
        assert faults_of_access(page) == []
        # Chromium itself logs the 401 of the wrong password.
        assert [one for one in watch.seen if "401" not in one] == []
