"""docs/workflows.md: its blocks are run in their order, and its jobs do what the page says."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import jobs
from jobs.definition import registry
from jobs.testing import Ledger

PAGE = Path(__file__).resolve().parents[2] / "docs" / "workflows.md"
DAY = timedelta(days=1)


class Bank:
    def __init__(self) -> None:
        self.said: list[str] = []

    def charge(self, order_id: int, key: str) -> str:
        self.said.append("charge")
        return f"C{order_id}"

    def refund(self, charge: str) -> None:
        self.said.append(f"refund {charge}")

    def ask(self, url: str) -> None:
        self.said.append(url)


@pytest.fixture
def page(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ledger, Any]]:
    """The page's names, after its blocks have run in one module, with the ledger they ran on."""
    monkeypatch.setattr(registry, "_classes", {})  # Other tests have jobs of the same names.
    module: Any = types.ModuleType("workflows_page")
    module.bank = Bank()
    sys.modules[module.__name__] = module
    with Ledger(ledger_url, public_url="https://jobs.example.com") as ledger:
        for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S):
            exec(compile(block, str(PAGE), "exec"), module.__dict__)
        yield ledger, module
    del sys.modules[module.__name__]


def test_the_blocks_do_what_the_page_says(page: tuple[Ledger, Any]) -> None:
    ledger, said = page
    silent = said.Order(order_id=8).enqueue()

    ledger.drain()
    assert jobs.find(said.order.id).held_on == "sleep:cool off"
    assert jobs.find(said.total.id).result == 14
    assert jobs.find(said.model.id).result == 13
    assert [one.result for one in ledger.runs(said.Report)] == [{"batch": "import 42", "generation": 1, "sum": 5}]
    assert said.found.refresh().state == "succeeded"
    ledger.drain(advance=4 * DAY)

    assert jobs.find(said.order.id).result == "approved by ada"
    assert jobs.find(silent.id).result == "nobody answered"
    assert sorted(said.bank.said) == ["charge", "charge", "refund C8"]


def test_a_payment_waits_for_its_callback_url(page: tuple[Ledger, Any]) -> None:
    ledger, said = page

    run = ledger.perform(said.Payment()).run

    assert re.fullmatch(r"https://jobs\.example\.com/v1/callbacks/[\w-]{40,}", said.bank.said[-1])
    jobs.signal(run.id, "paid", {"ok": True})
    ledger.drain()
    assert jobs.find(run.id).result == {"ok": True}
