"""Tables are changed while others use them: nobody waits long, and what is broken off is finished. (K.23)"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from jobs.database.engine import Database
from jobs.database.models import Base
from jobs.errors import LedgerBusy, ServiceDown
from jobs.migration import ddl, indexes, schema
from tests.book import Book, new_run
from tests.waiting import wait_until

EXPECTED = {str(index.name) for table in Base.metadata.tables.values() for index in table.indexes}
BUILDING = "select pid, extract(epoch from now() - query_start) from pg_stat_activity where query like 'CREATE%INDEX%'"
WRITE = "update job_runs set priority = 1"


@pytest.fixture
def url(pg_server) -> Iterator[str]:
    """A database without a table."""
    pg_server.start()
    made = pg_server.create_database()
    yield made
    pg_server.drop_database(made)


@pytest.fixture
def old(url, make_app) -> Database:
    """A ledger at the first revision, which others use; its connections have a time limit of a second."""
    database = make_app(url, statement_timeout="1s").database
    schema.upgrade(make_app(url).database, "1_0001")
    return database


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(ddl, "LOCK_LIMIT", timedelta(milliseconds=100))
    monkeypatch.setattr(ddl, "PAUSE", timedelta(milliseconds=50))
    monkeypatch.setattr(ddl, "GIVE_UP_AFTER", timedelta(milliseconds=500))


@contextmanager
def holding(url: str, statement: str) -> Iterator[Any]:
    """Somebody's transaction that stays open."""
    with closing(psycopg.connect(url, application_name="a report")) as connection:
        connection.execute(statement.encode())
        yield connection


@contextmanager
def upgrading(database: Database, *, say: Callable[[str], None] = print) -> Iterator[list[BaseException]]:
    """The upgrade, in a thread; what it raised is in the list when the block is over."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            schema.upgrade(database, say=say)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        thread.join(100)
        assert not thread.is_alive()


def building(url: str, *, seconds: float = 0.0) -> int | None:
    """The process that has been building an index for so long."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        found = connection.execute(BUILDING).fetchone()
        return found[0] if found and found[1] >= seconds else None


def valid(database: Database) -> dict[str, bool]:
    with database.read() as connection:
        found = indexes.validity(connection, schema=database.schema)
    return {name: is_valid for name, is_valid in found.items() if not name.startswith("pk_") and "alembic" not in name}


def test_a_build_has_no_time_limit_and_others_write_meanwhile(old, url):
    # Who has written and not committed holds up the build, and the build nobody.
    with holding(url, WRITE) as writer, upgrading(old) as raised:
        assert wait_until(lambda: building(url, seconds=1.5) is not None, seconds=60)
        with closing(psycopg.connect(url, options="-c lock_timeout=100ms")) as other:
            other.execute(WRITE)
            other.commit()
        writer.commit()

    assert raised == []
    assert valid(old) == dict.fromkeys(EXPECTED, True)
    schema.check(old)


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
def test_a_build_that_was_ended_leaves_an_invalid_index_which_the_next_run_replaces(old, url, end):
    with holding(url, WRITE) as writer, upgrading(old) as raised:
        assert wait_until(lambda: building(url, seconds=0.05) is not None, seconds=60)
        writer.execute(f"select {end}({building(url)})".encode())

    assert isinstance(raised[0], ServiceDown)
    assert "The tables are at revision 1_0001" in str(raised[0])
    assert "migrate up again" in str(raised[0])
    assert not all(valid(old).values())
    said: list[str] = []
    schema.upgrade(old, say=said.append)
    assert "earlier build was interrupted" in "\n".join(said)
    assert valid(old) == dict.fromkeys(EXPECTED, True)


def test_a_migration_that_is_broken_off_at_any_index_is_finished_by_the_next_runs(old, monkeypatch):
    build = indexes.build
    failed: list[str] = []

    def fail_at_first(connection: Connection, index: Any, **options: Any) -> None:
        build(connection, index, **options)
        if index.name not in failed:
            failed.append(index.name)
            statement = "update pg_index set indisvalid = false where indexrelid = to_regclass(:name)"
            connection.execute(text(statement), {"name": index.name})
            raise OperationalError("create index", {}, psycopg.OperationalError("the power went"))

    monkeypatch.setattr(indexes, "build", fail_at_first)
    runs = 0
    while schema.current(old) != schema.REVISION:
        runs += 1
        try:
            schema.upgrade(old)
        except ServiceDown:
            pass
        assert runs < 50

    assert runs == len(failed) + 1
    assert {one.removesuffix(indexes.NEW) for one in failed} >= {"uq_job_runs_live_key", "ix_job_runs_ended"}
    assert valid(old) == dict.fromkeys(EXPECTED, True)
    schema.downgrade(old, "base")
    assert valid(old) == {}


def test_a_locked_table_is_waited_for_briefly_and_again(old, url, quick, monkeypatch):
    monkeypatch.setattr(ddl, "GIVE_UP_AFTER", timedelta(minutes=1))
    said: list[str] = []
    with holding(url, "lock table job_runs in access share mode") as reader, upgrading(old, say=said.append) as raised:
        assert wait_until(lambda: any("trying again" in one for one in said), seconds=60)
        # Between two tries, and behind one for at most its limit, everybody else goes on.
        with closing(psycopg.connect(url, options="-c lock_timeout=20s")) as other:
            other.execute(WRITE)
        reader.commit()

    assert raised == []
    assert "a report" in "\n".join(said)
    schema.check(old)


def test_a_table_that_stays_locked_is_an_error_that_names_who_holds_it(old, url, quick):
    with (
        holding(url, "lock table job_runs in access share mode"),
        pytest.raises(LedgerBusy, match="a report") as caught,
    ):
        schema.upgrade(old)

    assert "JOBS_DATABASE_URL is right" not in str(caught.value)
    schema.upgrade(old)
    assert valid(old) == dict.fromkeys(EXPECTED, True)


def test_a_second_migration_waits_and_finds_it_done(url, make_app):
    first, second = make_app(url).database, make_app(url).database

    with upgrading(first) as raised, upgrading(second) as also:
        pass

    assert raised == also == []
    schema.check(first)


def test_a_migration_that_waits_too_long_for_another_gets_an_error(old, url, quick):
    key = "select pg_advisory_lock(hashtextextended('jobledger migrations ', 0))"
    with holding(url, key), pytest.raises(LedgerBusy, match="Another process has been migrating"):
        schema.upgrade(old)


@pytest.mark.parametrize("place", [None, "Back office"])
def test_an_index_that_is_missing_or_invalid_at_the_head_is_built(url, make_app, place):
    database = make_app(url, database_schema=place).database
    schema.upgrade(database)
    where = f'"{place}".' if place else ""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(f"drop index {where}ix_job_attempts_finished".encode())
        connection.execute(
            "update pg_index set indisvalid = false where indexrelid = %s::regclass", [f"{where}uq_job_runs_live_key"]
        )

    schema.upgrade(database)

    assert valid(database) == dict.fromkeys(EXPECTED, True)


@pytest.mark.parametrize("is_in_use", [True, False])
def test_every_check_is_valid_also_for_rows_that_were_there_before(url, make_app, is_in_use):
    database = make_app(url).database
    if is_in_use:
        schema.upgrade(database, "1_0022")
        Book(database).insert([new_run()])

    schema.upgrade(database)

    with closing(psycopg.connect(url)) as connection:
        left = connection.execute("select conname from pg_constraint where not convalidated").fetchall()
    assert left == []


def test_no_migration_builds_an_index_of_a_table_that_is_there_inside_a_transaction(url, make_app):
    statements = schema.sql(make_app(url).database, since="1_0001")

    for revision in statements.split("-- Running upgrade ")[1:]:
        made = set(re.findall(r"CREATE TABLE (\w+)", revision))
        for index, table in re.findall(r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)(\w+) ON (\w+)", revision):
            assert table in made, f"{index} of {revision[:16]}: build it with op.build_index"
    assert statements.count("CONCURRENTLY") >= 13
