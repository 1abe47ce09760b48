"""Jobs that log, and the lines that are kept of their attempts."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from jobs import Job
from jobs.operations.audit.operator import Operator
from jobs.testing import Ledger

log = logging.getLogger("shop.cards")
ADA = Operator("ada@desk")


@pytest.fixture
def ledger(ledger_url: str) -> Any:
    with Ledger(ledger_url) as ledger:
        yield ledger


@pytest.fixture(autouse=True)
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts back what capturing changes in a process."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setattr(logging.getLogger(), "handlers", list(logging.getLogger().handlers))
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]


class Odd:
    def __str__(self) -> str:
        raise TypeError

    __repr__ = __str__


class LogsOddly(Job):
    def perform(self) -> None:
        self.run.log("%d of %d", "one")
        self.run.log("%s", Odd())
        self.run.log("half \ud800 and \0 nul", level=logging.ERROR)
        self.run.log(7)  # type: ignore[arg-type]
