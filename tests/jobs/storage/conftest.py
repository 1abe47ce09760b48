from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.testing import Ledger
from tests.jobs.storage.stored_jobs import seen


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    seen.clear()
    with Ledger(ledger_url, lock_timeout="2s") as made:
        yield made
