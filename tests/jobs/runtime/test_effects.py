"""The run's own transaction is applied once; progress, lineage, upcasts and waiting for a run."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import jobs
from jobs import Cause, Job, Outcome, RunState
from jobs.definition import registry
from jobs.testing import Ledger

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


class Pay(Job):
    n: int = 1

    def perform(self) -> str:
        with self.run.transaction() as session:
            session.execute(text("insert into paid values (:n)"), {"n": self.n})
            Note(n=self.n).enqueue()
        return "done"


class Note(Job):
    n: int

    def perform(self) -> None: ...


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


def test_progress_is_read_by_whoever_asks(ledger: Ledger) -> None:
    seen: list[Any] = []

    class Exporting(Job):
        def perform(self) -> None:
            for n in range(1, 101):
                self.run.progress(n, 100, "rows")
                seen.append(jobs.find(self.run.id).progress)

    performed = ledger.perform(Exporting())

    assert seen[0] == {"done": 1, "total": 100, "message": "rows"}
    assert seen[1] == seen[0]
    assert performed.run.progress["done"] == 100


def test_children_know_their_parent_and_the_root_of_it_all(ledger: Ledger) -> None:
    class Leaf(Job):
        def perform(self) -> None: ...

    class Branch(Job):
        def perform(self) -> None:
            Leaf().enqueue()

    class Root(Job):
        def perform(self) -> None:
            jobs.enqueue_many([Branch(), Branch()])

    with jobs.correlate("request-1"):
        root = Root().enqueue().id
    ledger.drain()

    branches, leaves = ledger.runs(Branch), ledger.runs(Leaf)
    assert [run.parent_id for run in branches] == [root, root]
    assert [run.parent_id for run in leaves] == [run.id for run in branches]
    assert {run.root_id for run in leaves} == {root}
    assert {run.correlation_id for run in leaves} == {"request-1"}


def test_arguments_of_an_earlier_version_are_brought_up(ledger: Ledger, request: pytest.FixtureRequest) -> None:
    class Greet(Job):
        name: str

        def perform(self) -> None: ...

    Greet(name="Ada Lovelace").enqueue()
    registry.forget("Greet")
    request.addfinalizer(lambda: registry.forget("Greeting"))

    class Greeting(Job, kind="Greeting", aliases=("Greet",), version=2):
        first: str
        last: str

        @classmethod
        def upcast(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
            first, _, last = arguments["name"].partition(" ")
            return {"first": first, "last": last}

        def perform(self) -> str:
            return self.last

    assert [one.result() for one in ledger.drain()] == ["Lovelace"]


def test_arguments_that_do_not_fit_make_the_run_dead_and_name_the_field(ledger: Ledger) -> None:
    run_id = Note(n=1).enqueue().id
    with ledger.app.database.write() as connection:
        connection.execute(text("""update job_runs set arguments = '{"n": "many"}'"""))

    performed = ledger.perform(run_id)

    assert (performed.run.state, performed.run.cause) == (RunState.DEAD, Cause.BAD_ARGUMENTS)
    assert "n:" in (performed.run.error_message or "")


def test_an_upcast_that_fails_makes_the_run_dead(ledger: Ledger) -> None:
    run_id = Note(n=1).enqueue().id
    registry.forget("Note")

    class Noted(Job, kind="Noted", aliases=("Note",), version=2):
        m: int

        @classmethod
        def upcast(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
            return {"m": arguments["no such field"]}

        def perform(self) -> None: ...

    try:
        assert ledger.perform(run_id).run.cause is Cause.BAD_ARGUMENTS
    finally:
        registry.forget("Noted")
        registry.register(Note, kind="Note")


def test_waiting_for_a_run_has_a_limit(ledger: Ledger) -> None:
    run_id = Note(n=1).enqueue().id

    with pytest.raises(jobs.NotEnded):
        jobs.wait(run_id, limit=timedelta(milliseconds=50))
    with pytest.raises(jobs.NotEnded):
        asyncio.run(jobs.wait_async(run_id, limit=timedelta(milliseconds=50)))
    ledger.drain()
    assert jobs.wait(run_id, limit=timedelta(seconds=1)).state is RunState.SUCCEEDED
    assert asyncio.run(jobs.wait_async(run_id, limit=HOUR)).id == run_id
    assert [one.attempt for one in asyncio.run(jobs.attempts_async(run_id))] == [1]
    waiting = Note(n=2).enqueue(delay=HOUR).id
    assert asyncio.run(jobs.cancel_async(waiting, reason="enough")) is RunState.CANCELLED


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
