"""The shops in a browser: an order is placed, its run waits, a person approves it, and the result is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.database.engine import Database
from jobs.ledger.queries.find import list_runs
from jobs.settings import Settings
from tests.admin_api.pages.chromium import WAIT_MS, a_browser, a_context, needs_chromium
from tests.examples.shops import ON, Shop, services, started
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, needs_chromium]
SHOPS = ("django_shop", "fastapi_shop", "flask_shop")
CASES = [
    # ``make test`` has them on SQLite, and ``make faults`` on both.
    pytest.param(shop, on, id=f"{shop}-{on}", marks=[] if on == "sqlite" else [pytest.mark.faults])
    for shop in SHOPS
    for on in ON
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as made:
        yield made


@pytest.mark.parametrize(("shop", "on"), CASES)
def test_an_order_is_placed_approved_and_done_and_the_failed_one_leaves_no_run(
    request: pytest.FixtureRequest, browser: Browser, tmp_path: Path, shop: str, on: str
) -> None:
    if shop == "django_shop":
        pytest.importorskip("django")
    with (
        started(shop, tmp_path, *services(request, tmp_path, on)) as serving,
        a_context(browser, width=390) as context,
    ):
        page = context.new_page()
        (_on_django if shop == "django_shop" else _on_others)(page, serving)

        (run,) = runs_in(serving.ledger)
        assert run.state == "succeeded"
        expect(page.get_by_text("It succeeded at attempt")).to_be_visible(timeout=WAIT_MS)


def _on_others(page: Page, shop: Shop) -> None:
    page.goto(shop.url)
    page.get_by_label("Pieces").fill("0")
    page.get_by_role("button", name="Order").click()
    expect(page.get_by_text("Nothing was ordered.")).to_be_visible()
    assert runs_in(shop.ledger) == []

    page.goto(shop.url)
    page.get_by_role("button", name="Order").click()
    page.wait_for_url(re.compile("/orders/"))
    order = page.url
    assert reloaded(page, "queued: None", order)
    page.get_by_role("link", name="The run").click()
    waits = page.get_by_text("It waits for the signal approval")
    assert wait_until(lambda: bool(page.reload()) and waits.is_visible(), seconds=60), shop.log.read_text()

    page.goto(order)
    page.get_by_role("button", name="Approve").click()
    assert reloaded(page, "succeeded: 3 pieces delivered, approved by ann", order), shop.log.read_text()
    page.get_by_role("link", name="The run").click()


def _on_django(page: Page, shop: Shop) -> None:
    page.goto(shop.url)
    page.get_by_label("Amount").fill("1001")
    page.get_by_role("button", name="Order").click()
    expect(page.get_by_text("Nothing was ordered.")).to_be_visible()
    assert runs_in(shop.ledger) == []

    page.goto(shop.url)
    page.get_by_role("button", name="Order").click()
    expect(page.get_by_text("book for 12")).to_be_visible()
    page.get_by_role("link", name="The run").click()
    password = re.search(r"as ann with the password (\S+)", shop.log.read_text())
    assert password is not None
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill(password[1])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name=re.compile("charge"))).to_be_visible()

    page.goto(shop.url)
    page.get_by_role("button", name="Approve").click()
    assert reloaded(page, "SUCCESSFUL", shop.url), shop.log.read_text()
    assert re.search(r"receipt \d+ after \d+ attempts", page.content())
    page.get_by_role("link", name="The run").click()


def reloaded(page: Page, text: str, url: str) -> bool:
    """Whether the page at ``url`` shows a text in time."""
    return wait_until(lambda: bool(page.goto(url)) and text in page.content(), seconds=60)


def runs_in(ledger: str) -> list[Any]:
    database = Database(ledger, Settings.of(database_url=ledger))
    with database.read() as connection:
        found = list_runs(connection)
    database.close()
    return found
