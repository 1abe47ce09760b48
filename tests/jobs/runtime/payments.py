"""Jobs that pay and note, and the table that they write."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs import Job
from jobs.testing import Ledger

HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        with ledger.app.database.write() as connection:
            connection.execute(text("create table paid (n integer)"))
        yield ledger


class Note(Job):
    n: int

    def perform(self) -> None: ...
