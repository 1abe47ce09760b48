"""A chunk of work and the cursor behind it are one commit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from jobs import Job, Outcome
from jobs.testing import Crash, Ledger

HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        with ledger.app.database.write() as connection:
            connection.execute(text("create table paid (n integer)"))
        yield ledger


def paid(ledger: Ledger) -> list[int]:
    with ledger.app.database.read() as connection:
        return list(connection.scalars(text("select n from paid order by n")))


class Import(Job):
    rows: int = 10
    chunk: int = 4
    crash_at: int | None = None

    def perform(self) -> list[int]:
        rows = self.run.cursor("rows")
        seen = [rows.value]
        while rows.value < self.rows:
            upto = min(rows.value + self.chunk, self.rows)
            with rows.advance(to=upto) as session:
                for n in range(rows.value, upto):
                    session.execute(text("insert into paid values (:n)"), {"n": n})
                if self.crash_at is not None and self.run.attempt == 1 and upto > self.crash_at:
                    raise Crash("died in a chunk")
            seen.append(rows.value)
        return seen


def test_a_chunk_and_its_cursor_are_one_commit(ledger: Ledger) -> None:
    ledger.perform(Import(crash_at=5))
    assert paid(ledger) == [0, 1, 2, 3]

    [performed] = ledger.drain(advance=HOUR)

    assert performed.result() == [4, 8, 10]
    assert paid(ledger) == list(range(10))


def test_a_cursor_is_found_where_it_was_whatever_it_holds(ledger: Ledger) -> None:
    class Pages(Job):
        def perform(self) -> Any:
            page = self.run.cursor("page", start=None)
            if page.value is None:
                with page.advance(to={"token": "abc"}):
                    pass
                raise OSError("later")
            return page.value

    ledger.perform(Pages())

    assert ledger.drain(advance=HOUR)[0].result() == {"token": "abc"}


def test_a_checkpointed_loop_goes_on_after_a_stop_and_is_not_charged(ledger: Ledger) -> None:
    done: list[int] = []

    class Walk(Job):
        def perform(self) -> None:
            for n in self.run.checkpointed(range(10)):
                done.append(n)
                if n == 3:
                    ledger.stopping.set()

    first = ledger.perform(Walk())
    ledger.stopping.clear()
    ledger.drain()

    assert first.outcome is Outcome.SNOOZED
    assert first.run.charged == 0
    assert done == list(range(10))
