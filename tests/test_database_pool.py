"""tests/database_pool.py: a test never sees what an earlier test did to its database."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from tests.database_pool import MAX_TABLE_BYTES, DatabasePool
from tests.servers import NamedServer, PostgresServer

ROWS = "insert into job_queues (name) select 'queue-' || n from generate_series(1, {}) as n"
ALL_EMPTY = "select count(*) from job_queues"
MADE = "select array_agg(head::text order by head::text) from operator_audit_head as head"


def run(url: str, *statements: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            found = connection.execute(statement.encode())
        return found.fetchone() if found.description else None


def oid(url: str) -> object:
    return run(url, "select oid from pg_database where datname = current_database()")


@pytest.fixture
def pool(pg_server: PostgresServer | NamedServer, migrated_template: str):
    made = DatabasePool(pg_server, migrated_template)
    yield made
    made.close()


def test_rows_are_removed_and_whoever_used_the_database_does_not_find_it_again(pool: DatabasePool) -> None:
    first = pool.take()
    run(first, ROWS.format(3))
    same, left_open = oid(first), psycopg.connect(first)
    pool.give_back(first)

    second = pool.take()

    assert oid(second) == same
    assert run(second, ALL_EMPTY) == (0,)
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(first)
    pool.give_back(second)


def test_a_table_that_grew_has_no_pages_left(pool: DatabasePool) -> None:
    first = pool.take()
    same = oid(first)
    run(first, ROWS.format(MAX_TABLE_BYTES // 16))
    pool.give_back(first)

    second = pool.take()

    assert oid(second) == same
    assert run(second, "select pg_relation_size('job_queues')") == (0,)
    pool.give_back(second)


@pytest.mark.parametrize(
    "statement",
    [
        "update operator_audit_head set seq = 7",
        "delete from operator_audit_head",
        "truncate operator_audit_head",
        "insert into operator_audit_head select id + 1, seq, hash from operator_audit_head",
    ],
)
def test_the_rows_that_the_migrations_made_are_there_again(pool: DatabasePool, statement: str) -> None:
    first = pool.take()
    same, rows = oid(first), run(first, MADE)
    run(first, statement)
    assert run(first, MADE) != rows
    pool.give_back(first)

    second = pool.take()

    assert oid(second) == same
    assert run(second, MADE) == rows
    pool.give_back(second)


def test_a_table_that_a_test_made_is_gone_with_all_that_belongs_to_it(pool: DatabasePool) -> None:
    first = pool.take()
    same, names = oid(first), run(first, "select array_agg(relname::text order by oid) from pg_class")
    run(
        first,
        "create table theirs (id serial primary key, run_id uuid references job_runs (id), name text not null)",
        "insert into theirs (name) values ('one')",
        "create view names as select name from theirs",
        "analyze theirs",
    )
    pool.give_back(first)

    second = pool.take()

    assert oid(second) == same
    assert run(second, "select array_agg(relname::text order by oid) from pg_class") == names
    pool.give_back(second)


@pytest.mark.parametrize(
    "statement",
    [
        "create schema theirs",
        "create table theirs (n int); alter table job_queues add column theirs int",
        "drop index ix_job_runs_ready",
        "alter table job_queues add column theirs int",
        "revoke all on job_queues from public; grant select on job_queues to public",
        "alter database {name} set work_mem = '1MB'",
        "alter database {name} connection limit 5",
        "analyze job_queues",
        "create function theirs() returns int language sql as 'select 1'",
    ],
)
def test_a_database_that_a_test_changed_otherwise_is_dropped(pool: DatabasePool, statement: str) -> None:
    first = pool.take()
    same = oid(first)
    statements = statement.format(name=urlsplit(first).path[1:]).split("; ")
    run(first, "insert into job_queues (name) values ('one')", *statements)
    pool.give_back(first)

    second = pool.take()

    assert oid(second) != same
    pool.give_back(second)
