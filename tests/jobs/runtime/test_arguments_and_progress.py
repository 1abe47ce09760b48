"""Progress, lineage, arguments of earlier versions, and waiting for a run."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

import jobs
from jobs import Cause, Job, RunState
from jobs.definition import registry
from jobs.testing import Ledger
from tests.jobs.runtime.payments import HOUR, Note
from tests.jobs.runtime.payments import ledger as ledger


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
