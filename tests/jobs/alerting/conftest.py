"""A ledger with a worker in the test process, and a server that receives alerts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.alerting.delivery import KIND, register
from jobs.definition import registry
from jobs.testing import Ledger
from tests.jobs.alerting.receiving import SECRET, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def ledger(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("JOBS_ALERT_SECRET", SECRET)
    with Ledger(ledger_url, alert_networks="127.0.0.0/8") as ledger:
        yield ledger


@pytest.fixture(autouse=True)
def kind() -> Iterator[None]:
    register()
    yield
    registry.forget(KIND)
