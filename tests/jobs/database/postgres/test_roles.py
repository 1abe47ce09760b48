"""What a role may not do, or a server cannot: each is one line that says what to grant or change."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from jobs import boot
from jobs.database.postgres import server
from jobs.database.postgres.server import check_connections
from jobs.errors import ConfigurationError, ServiceDown
from jobs.migration import schema
from jobs.settings import Settings
from tests.jobs.database.postgres.databases import PostgresNote, swap
from tests.jobs.database.postgres.databases import make_database as make_database


def test_a_role_without_the_right_to_make_tables_is_named(make_database, pg_server):
    url = pg_server.create_database()
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop role if exists jobs_maker")
            connection.execute("create role jobs_maker login")
        parts = urlsplit(url)

        with pytest.raises(ServiceDown, match="Grant the role CREATE"):
            schema.upgrade(make_database(swap(url, netloc=f"jobs_maker@{parts.hostname}:{parts.port}")))
    finally:
        pg_server.drop_database(url)


def test_a_role_that_may_only_read_is_told_the_statement_that_helps(make_database, pg_database):
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("drop role if exists jobs_reader")
        connection.execute("create role jobs_reader login")
        connection.execute("grant select on all tables in schema public to jobs_reader")
    parts = urlsplit(pg_database)
    database = make_database(swap(pg_database, netloc=f"jobs_reader@{parts.hostname}:{parts.port}"))

    with database.read() as reading, pytest.raises(ServiceDown, match="may not write") as caught:
        server.check_rights(reading, schema=None)

    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(caught.value.hint)
    with database.read() as reading:
        server.check_rights(reading, schema=None)
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("drop owned by jobs_reader")
        connection.execute("drop role jobs_reader")


def test_a_server_that_is_too_old_is_refused(make_database, pg_database, monkeypatch):
    monkeypatch.setattr(server, "OLDEST", 990000)

    with pytest.raises(ConfigurationError, match="is too old"):
        schema.check(make_database(pg_database))


def test_a_role_without_rights_is_told_what_to_grant(make_database, pg_database):
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("drop role if exists jobs_nobody")
        connection.execute("create role jobs_nobody login")
    parts = urlsplit(pg_database)
    database = make_database(swap(pg_database, netloc=f"jobs_nobody@{parts.hostname}:{parts.port}"))

    with pytest.raises(ServiceDown, match="Grant the role"):
        schema.check(database)


def test_an_old_server_is_refused(make_database, pg_database, monkeypatch):
    monkeypatch.setattr(server, "OLDEST", 999999)

    with pytest.raises(ConfigurationError, match=r"PostgreSQL \d.* is too old"):
        schema.check(make_database(pg_database))


def test_more_processes_than_connections_are_refused(make_database, pg_database):
    with make_database(pg_database).read() as connection:
        with pytest.raises(ConfigurationError, match="JOBS_PROCESSES"):
            check_connections(connection, Settings(processes=250))
        check_connections(connection, Settings(processes=2))


def test_behind_pgbouncer_nothing_is_prepared_or_set(make_app, pg_database, monkeypatch):
    app = make_app(pg_database, pgbouncer=True)
    monkeypatch.setattr(boot, "_app", app)
    for _ in range(12):
        PostgresNote().enqueue()

    with app.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from pg_prepared_statements").scalar() == 0
        assert connection.exec_driver_sql("show plan_cache_mode").scalar() == "auto"
