"""K.11: progress is told, not promised: nothing that a job says of it can fail the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

import jobs
from jobs import Job, Outcome
from jobs.testing import Ledger


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as ledger:
        with ledger.app.database.write() as connection:
            connection.execute(text("create table paid (n integer)"))
        yield ledger


def paid(ledger: Ledger) -> list[int]:
    with ledger.app.database.read() as connection:
        return list(connection.scalars(text("select n from paid order by n")))


class Odd:
    def __float__(self) -> float:
        raise TypeError


@pytest.mark.parametrize(
    ("done", "total", "message", "kept"),
    [
        (1, float("nan"), None, [1, None, None]),
        (float("inf"), 2.5, None, [None, 2.5, None]),
        (10**400, Decimal("3.5"), "", [None, 3.5, None]),
        (True, 2**63, "half \ud800 and \0 nul", [1, 2**63, "half ? and \ufffd nul"]),
        (Odd(), "7", 12, [None, None, "12"]),
    ],
    ids=["no total", "no end", "too large", "text that no ledger holds", "no numbers"],
)
@pytest.mark.parametrize("in_transaction", [True, False])
def test_progress_that_json_lacks_is_null_and_fails_nothing(  # K.11
    ledger: Ledger, in_transaction: bool, done: Any, total: Any, message: Any, kept: list[Any]
) -> None:
    class ProgressUntold(Job, retry=jobs.Retry(max_attempts=1)):
        def perform(self) -> None:
            with self.run.transaction() if in_transaction else nullcontext() as session:
                if session is not None:
                    session.execute(text("insert into paid values (7)"))
                self.run.progress(done, total, message)

    performed = ledger.perform(ProgressUntold())

    assert performed.outcome is Outcome.SUCCEEDED
    assert performed.run.progress == dict(zip(("done", "total", "message"), kept, strict=True))
    assert paid(ledger) == ([7] if in_transaction else [])


def test_progress_that_the_ledger_refuses_undoes_nothing_of_the_transaction(  # K.11
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(session: Any, *rest: object) -> None:
        session.execute(text("insert into nowhere values (1)"))

    monkeypatch.setattr("jobs.runtime.progress.write_progress", refused)

    class ProgressRefused(Job, retry=jobs.Retry(max_attempts=1)):
        def perform(self) -> None:
            with self.run.transaction() as session:
                session.execute(text("insert into paid values (7)"))
                self.run.progress(1)

    assert ledger.perform(ProgressRefused()).outcome is Outcome.SUCCEEDED
    assert paid(ledger) == [7]
