"""Insert: a run is a row before it is a message."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from jobs.database.engine import Database
from jobs.database.models import JobRun
from jobs.errors import LedgerRefused
from jobs.ledger.admission.insert import insert_runs
from jobs.states import RunState
from tests.book import SECOND, Book, new_run


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(JobRun)) or 0


@pytest.mark.parametrize("beside", [0, 1, 3], ids=lambda n: f"beside_{n}_others")
def test_a_run_is_stored_as_it_was_given(book, beside):
    parent, root = uuid4(), uuid4()
    given = new_run(
        arguments={"b": [1, 2.0, None, "é\u2028"], "a": {"x": 1e308}},
        priority=-7,
        max_attempts=9,
        tags='["red", "blue"]',
        correlation_id="abc",
        trace_context="00-1-2-01",
        enqueued_by="host/1",
        parent_id=parent,
        root_id=root,
        arguments_version=4,
        scheduled_for=book.now - SECOND,
    )
    book.insert([given, *(new_run() for _ in range(beside))])

    run = book.run(given.id)

    assert run.state is RunState.QUEUED
    assert run.arguments == {"b": [1, 2.0, None, "é\u2028"], "a": {"x": 1e308}}
    assert [type(one) for one in run.arguments["b"]] == [int, float, type(None), str]
    assert (run.kind, run.queue, run.priority, run.max_attempts) == ("Mail", "default", -7, 9)
    assert (run.tags, run.correlation_id, run.enqueued_by) == (["red", "blue"], "abc", "host/1")
    assert (run.parent_id, run.root_id, run.arguments_version) == (parent, root, 4)
    assert run.scheduled_for == book.now - SECOND
    assert (run.attempt, run.charged, run.crashes, run.abandonments) == (0, 0, 0, 0)
    assert run.created_at == run.state_at == run.run_at == book.now
    assert run.worker is run.lease_until is run.started_at is run.finished_at is run.result is None


@pytest.mark.parametrize("beside", [0, 2], ids=["alone", "in a batch"])
@pytest.mark.parametrize(
    ("given", "run_at", "expires_at"),
    [
        ({"delay_seconds": 90.5}, 90.5, None),
        ({"run_at": 3600}, 3600, None),
        ({"run_at": -3600}, -3600, None),
        ({"expires_seconds": 5.25}, 0, 5.25),
        ({"expires_at": 60, "delay_seconds": 10}, 10, 60),
    ],
    ids=str,
)
def test_moments_are_computed_from_the_ledgers_clock_unless_they_are_given(book, given, run_at, expires_at, beside):
    moments = {name: book.now + value * SECOND if name.endswith("_at") else value for name, value in given.items()}
    run = new_run(**moments)
    book.insert([run, *(new_run() for _ in range(beside))])

    found = book.run(run.id)

    assert found.run_at == book.now + run_at * SECOND
    assert found.expires_at == (None if expires_at is None else book.now + expires_at * SECOND)
    assert found.created_at == book.now


def test_without_a_moment_the_databases_own_clock_says_now(app):
    run = new_run()
    with app.database.write() as connection:
        insert_runs(connection, [run])

    found = Book(app.database).run(run.id)

    assert abs(found.created_at - app.clock.now()) < timedelta(seconds=5)
    # SQLite reads the clock for each column.
    assert abs(found.run_at - found.created_at) < timedelta(seconds=0.1)
    assert found.created_at.utcoffset() == timedelta(0)


def test_five_hundred_runs_are_one_statement_and_keep_their_order(book):
    runs = [new_run(arguments={"n": n}) for n in range(500)]
    book.insert(runs)

    claims = book.claim_due(500)

    assert [one.run_id for one in claims] == [run.id for run in runs]


def test_inserting_no_rows_changes_nothing(book):
    book.insert([])

    assert count(book.database) == 0


def test_one_bad_row_refuses_its_whole_batch(book):
    runs = [new_run(), new_run(priority=1001), new_run()]

    with pytest.raises(LedgerRefused):
        book.insert(runs)

    assert count(book.database) == 0


def test_an_id_is_inserted_once(book):
    run = new_run()
    book.insert([run])

    with pytest.raises(LedgerRefused):
        book.insert([run])

    assert count(book.database) == 1


def test_a_rolled_back_insert_leaves_nothing(book):
    with book.crash_before_commit() as connection:
        insert_runs(connection, [new_run(), new_run()])

    assert count(book.database) == 0
