"""The run's own transaction is applied once; progress, lineage, upcasts and waiting for a run."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

import jobs
from jobs import Job, Outcome, RunState
from jobs.testing import Ledger
from tests.jobs.runtime.payments import HOUR, Note
from tests.jobs.runtime.payments import ledger as ledger


def paid(ledger: Ledger) -> list[int]:
    with ledger.app.database.read() as connection:
        return list(connection.scalars(text("select n from paid order by n")))


class Pay(Job):
    n: int = 1

    def perform(self) -> str:
        with self.run.transaction() as session:
            session.execute(text("insert into paid values (:n)"), {"n": self.n})
            Note(n=self.n).enqueue()
        return "done"


def test_writes_of_a_job_commit_with_its_success(ledger: Ledger) -> None:
    performed = ledger.perform(Pay(n=3))

    assert performed.run.state is RunState.SUCCEEDED
    assert performed.run.result == "done"
    assert paid(ledger) == [3]
    assert [one.outcome for one in jobs.attempts(performed.run.id)] == [Outcome.SUCCEEDED]


def test_runs_that_a_job_enqueues_in_its_transaction_commit_with_its_success(ledger: Ledger) -> None:
    ledger.crash(Pay, late=True)
    run = ledger.perform(Pay(n=3)).run
    ledger.assert_not_enqueued(Note)

    ledger.drain(advance=HOUR)

    note = ledger.assert_enqueued(Note, n=3)
    assert (note.parent_id, note.root_id) == (run.id, run.id)


@pytest.mark.parametrize("plan", ["crash", "time_out"])
def test_a_death_between_the_block_and_the_commit_leaves_nothing(ledger: Ledger, plan: str) -> None:
    getattr(ledger, plan)(Pay, late=True)

    first = ledger.perform(Pay(n=3))
    assert first.run.state is RunState.QUEUED
    assert paid(ledger) == []

    ledger.drain(advance=HOUR)
    assert paid(ledger) == [3]


def test_an_error_after_the_block_rolls_it_back(ledger: Ledger) -> None:
    class PayAndFail(Job):
        def perform(self) -> None:
            with self.run.transaction() as session:
                session.execute(text("insert into paid values (1)"))
            raise ValueError("after")

    performed = ledger.perform(PayAndFail())

    assert isinstance(performed.error, ValueError)
    assert paid(ledger) == []


def test_a_job_that_commits_by_itself_still_commits_with_its_success_only(ledger: Ledger) -> None:
    class Eager(Job):
        def perform(self) -> None:
            with self.run.transaction() as session:
                session.execute(text("insert into paid values (1)"))
                session.commit()
                session.execute(text("insert into paid values (2)"))
            if self.run.attempt == 1:
                raise ValueError("again")

    run_id = Eager().enqueue().id
    ledger.perform(run_id)
    assert paid(ledger) == []
    ledger.drain(advance=HOUR)
    assert paid(ledger) == [1, 2]


def test_a_run_that_was_cancelled_meanwhile_writes_nothing(ledger: Ledger) -> None:
    class CancelledWhileItRuns(Job):
        def perform(self) -> None:
            jobs.cancel(self.run.id, reason="no longer wanted")
            with self.run.transaction() as session:
                session.execute(text("insert into paid values (1)"))

    performed = ledger.perform(CancelledWhileItRuns())

    assert performed.run.state is RunState.CANCELLED
    assert paid(ledger) == []


def test_an_attempt_has_one_transaction(ledger: Ledger) -> None:
    class Twice(Job):
        def perform(self) -> None:
            with self.run.transaction():
                pass
            with self.run.transaction():
                pass

    error = ledger.perform(Twice()).error
    assert isinstance(error, jobs.JobsError)
    assert "has already opened its transaction" in str(error)


def test_a_commit_that_the_database_refuses_fails_the_attempt(ledger: Ledger) -> None:
    class Refused(Job):
        def perform(self) -> None:
            with self.run.transaction() as session:
                session.execute(text("insert into nowhere values (1)"))

    performed = ledger.perform(Refused())

    assert performed.run.state is RunState.QUEUED
    assert performed.outcome is Outcome.FAILED


def test_an_async_job_has_its_transaction_too(ledger: Ledger) -> None:
    class PayAsync(Job):
        async def perform(self) -> None:
            await asyncio.sleep(0)
            async with self.run.transaction() as session:
                session.execute(text("insert into paid values (5)"))
                await Note(n=1).enqueue_async()

    performed = ledger.perform(PayAsync())

    assert performed.result() is None
    assert paid(ledger) == [5]
    ledger.assert_enqueued(Note, n=1)


def test_long_work_after_the_block_is_warned_of(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    class Dawdles(Job):
        def perform(self) -> None:
            with self.run.transaction():
                pass
            self.run.left_monotonic -= 2  # type: ignore[operator]

    with caplog.at_level(logging.WARNING):
        ledger.perform(Dawdles())

    assert any("after its transaction" in record.message for record in caplog.records)


def test_an_async_session_enqueues_with_its_own_commit(ledger: Ledger, tmp_path: Path) -> None:
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    url = ledger.app.database.url
    driver = "sqlite+aiosqlite" if ledger.app.database.dialect == "sqlite" else "postgresql+psycopg"

    async def main() -> list[int]:
        engine = create_async_engine(url.set(drivername=driver))
        counts = []
        async with AsyncSession(engine) as session:
            await Note(n=1).enqueue_async(session=session, key="one")
            await jobs.enqueue_many_async([Note(n=2), Note(n=3)], session=session)
            counts.append(len(ledger.runs()))
            await session.commit()
            counts.append(len(ledger.runs()))
            with pytest.raises(jobs.KeyConflict):
                await Note(n=9).enqueue_async(session=session, key="one")
            await Note(n=4).enqueue_async(session=session)
            await session.rollback()
        counts.append(len(ledger.runs()))
        await engine.dispose()
        found = await jobs.find_async(ledger.runs()[0].id)
        assert found.key == "one"
        return counts

    assert asyncio.run(main()) == [0, 3, 3]
    assert sqlite3.threadsafety >= 1
