"""COPY of many runs: the same rows as by INSERT."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from jobs.clock import new_run_id
from jobs.database.engine import Database
from jobs.database.models import JobRun
from jobs.errors import LedgerRefused
from jobs.ledger.admission.copy_in import copy_in, copy_members
from jobs.ledger.admission.insert import insert_free, insert_runs
from jobs.ledger.records import similar_run
from jobs.migration import schema
from tests.book import SECOND, START, new_run

EVERYTHING: list[dict[str, Any]] = [
    {},
    {"arguments": {"b": [1, 2.0, None, "é\u2028", "\\t\\N"], "a": {"x": 1e308}}, "priority": -1000, "max_attempts": 9},
    {"kind": "Größe", "queue": "q" * 100, "priority": 1000, "tags": '["red", "ö"]', "correlation_id": "\t\n\\."},
    {"trace_context": "00-1-2-01", "enqueued_by": "host/1", "arguments_version": 4, "schedule": "nightly"},
    {"parent_id": uuid4(), "root_id": uuid4(), "replayed_from": uuid4(), "scheduled_for": START - SECOND},
    {"delay_seconds": 90.000001, "expires_seconds": 0.25},
    {"run_at": datetime(1999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), "expires_at": START},
    {"run_at": datetime(9999, 12, 31, tzinfo=UTC)},
]


@pytest.fixture
def database(pg_database, make_app) -> Database:
    return make_app(pg_database).database


def rows(database: Database) -> dict[Any, tuple[Any, ...]]:
    with database.read() as connection:
        return {row.id: tuple(row)[1:] for row in connection.execute(select(*JobRun.__table__.c))}


def test_its_rows_are_those_of_an_insert(database):
    given = [new_run(**terms) for terms in EVERYTHING]
    copies = [new_run(**terms) for terms in EVERYTHING]
    with database.write() as connection:
        insert_runs(connection, given, now=START)
        copy_in(connection, iter(copies), now=START)

    found = rows(database)

    assert [found[run.id] for run in copies] == [found[run.id] for run in given]


def test_a_run_like_another_has_its_values_in_every_statement(database):
    likes = [new_run(**terms) for terms in EVERYTHING]
    first, second, third = (
        [similar_run(like, new_run_id(), f'{{"n": {n}}}') for n, like in enumerate(likes)] for _ in range(3)
    )
    changed = [replace(run, tags='["new"]') for run in third]
    with database.write() as connection:
        insert_runs(connection, first, now=START)
        copy_in(connection, [*likes, *second, *changed], now=START)
        expected = [
            replace(like, id=new_run_id(), arguments=run.arguments) for like, run in zip(likes, first, strict=True)
        ]
        insert_runs(connection, expected, now=START)
        others = [replace(run, id=new_run_id(), tags='["new"]') for run in expected]
        insert_runs(connection, others, now=START)

    found = rows(database)

    for made in (first, second):
        assert [found[run.id] for run in made] == [found[run.id] for run in expected]
    assert [found[run.id] for run in changed] == [found[run.id] for run in others]


def test_its_members_are_those_of_an_insert(database):
    batch = uuid4()
    given, copies = ([new_run(**terms, batch_id=batch) for terms in EVERYTHING] for _ in range(2))
    with database.write() as connection:
        insert_free(connection, given, now=START)
        copy_members(connection, iter(copies), now=START)

    found = rows(database)

    assert [found[run.id] for run in copies] == [found[run.id] for run in given]
    columns = [column.name for column in JobRun.__table__.c][1:]
    assert {dict(zip(columns, found[run.id], strict=True))["batch_id"] for run in copies} == {batch}
    assert all(dict(zip(columns, found[run.id], strict=True))["has_followups"] for run in copies)


def test_without_a_moment_it_uses_the_ledgers_clock(database):
    run = new_run()
    with database.write() as connection:
        copy_in(connection, [run])
        is_its_own = connection.scalar(
            select(JobRun.created_at <= datetime.now(UTC) + SECOND).where(JobRun.id == run.id)
        )

    assert is_its_own


@pytest.mark.parametrize("bad", [{"priority": 1001}, {"enqueued_by": "x" * 201}, {"correlation_id": "\0"}], ids=str)
def test_one_bad_row_refuses_all_of_them(database, bad):
    with pytest.raises(LedgerRefused), database.write() as connection:
        copy_in(connection, [*(new_run() for _ in range(250)), new_run(**bad)])

    assert rows(database) == {}


def test_an_error_while_the_runs_are_made_undoes_the_statement_and_is_raised_as_it_is(database):
    def broken() -> Any:
        yield from (new_run() for _ in range(250))
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"), database.write() as connection:
        copy_in(connection, broken())

    assert rows(database) == {}
    with database.write() as connection:  # The connection is as good as before.
        copy_in(connection, [new_run()])
    assert len(rows(database)) == 1


def test_it_copies_into_the_tables_of_the_settings_schema(pg_database, make_app):
    database = make_app(pg_database, database_schema='work "1"').database
    schema.upgrade(database)
    run = new_run()
    with database.write() as connection:
        copy_in(connection, [run])

    assert list(rows(database)) == [run.id]
