"""examples/approval: charged once, approved by a person on the page, shipped side by side, and joined."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

import jobs
from jobs.definition import registry
from jobs.testing import Ledger
from tests.admin_api.pages.chromium import (
    WAIT_MS,
    Watch,
    a_browser,
    a_context,
    faults_of_access,
    needs_chromium,
    served,
    sign_in,
)

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "approval"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("CHARGES", str(tmp_path / "charges.txt"))
    known = set(registry.kinds())
    yield importlib.import_module("approval")
    del sys.modules["approval"]
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)


def charges(tmp_path: Path) -> list[str]:
    return (tmp_path / "charges.txt").read_text().splitlines()


def test_small_orders_ship_at_once_and_unanswered_ones_are_refunded(shop: Any, ledger_url: str, tmp_path: Path) -> None:
    with Ledger(ledger_url) as ledger:
        small = shop.PlaceOrder(order_id=1, amount=10, parcels=2).enqueue()
        silent = shop.PlaceOrder(order_id=2, amount=5000).enqueue()

        ledger.drain(advance=timedelta(days=4))

        assert jobs.find(small.id).result["tracking"] == ["T1-0", "T1-1"]
        assert jobs.find(silent.id).result["answer"] == {"ok": False, "by": "nobody"}
    assert sorted(charges(tmp_path)) == ["charge 1 10", "charge 2 5000", "refund 2 5000"]


@pytest.mark.slow
@needs_chromium
def test_a_person_approves_an_order_on_its_page(shop: Any, sqlite_url: str, tmp_path: Path) -> None:
    with (
        Ledger(sqlite_url) as ledger,
        served(ledger.app) as base,
        a_browser() as browser,
        a_context(browser, width=390) as context,
    ):
        run = ledger.perform(shop.PlaceOrder(order_id=7, amount=2500, parcels=3)).run
        page = context.new_page()
        watch = Watch(page)
        sign_in(page, ledger.app, base)

        page.goto(f"{base}/runs/{run.id}")
        expect(page.get_by_text("It waits for the signal approval")).to_be_visible()
        page.get_by_role("link", name="Answer approval…").click()
        assert faults_of_access(page) == []
        page.get_by_role("textbox", name=re.compile("Payload")).fill('{"ok": true, "by": "ada"}')
        page.get_by_role("textbox", name=re.compile("Reason")).fill("a good customer")
        page.get_by_role("button", name="Send").click()
        page.wait_for_url(f"{base}/runs/{run.id}")
        ledger.drain()

        page.goto(f"{base}/runs/{run.id}")
        expect(page.get_by_text("It succeeded at attempt 3.")).to_be_visible(timeout=WAIT_MS)
        expect(page.locator("pre").filter(has_text="T7-2")).to_be_visible()
        family = page.get_by_role("group", name="Related runs")
        expect(family.get_by_text("Ship").first).to_be_visible()
        assert faults_of_access(page) == []
        assert watch.seen == []
    assert charges(tmp_path) == ["charge 7 2500"]
