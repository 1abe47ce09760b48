"""PostgreSQL's errors and limits, each one clear line; and a ledger behind pgbouncer's rules."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from jobs import boot, schema
from jobs.database import Database
from jobs.errors import ConfigurationError, LedgerMissing, ServiceDown
from jobs.job import Job
from jobs.postgres import check_connections
from jobs.settings import Settings
from tests.server_process import free_port


class PostgresNote(Job):
    def perform(self) -> None:
        pass


@pytest.fixture
def make_database():
    made = []

    def make(url, **settings):
        made.append(Database(url, Settings(database_url=url, **settings)))
        return made[-1]

    yield make
    for database in made:
        database.close()


def swap(url, **parts):
    return urlunsplit(urlsplit(url)._replace(**parts))


def test_an_unreachable_server_is_one_line_without_the_password(make_database):
    database = make_database(f"postgresql://app:s3cret@127.0.0.1:{free_port()}/shop")

    with pytest.raises(ServiceDown) as caught:
        schema.check(database)

    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_database_that_is_not_there_is_told_of(make_database, pg_database):
    with pytest.raises(ServiceDown, match="Create the database"):
        schema.check(make_database(swap(pg_database, path="/not_there")))


def test_a_database_without_tables_names_the_command(make_database, pg_server):
    url = pg_server.create_database()
    try:
        with pytest.raises(LedgerMissing, match="migrate up"):
            schema.check(make_database(url))
    finally:
        pg_server.drop_database(url)


def test_a_database_that_cannot_hold_every_text_is_refused(make_database, pg_server):
    with psycopg.connect(pg_server.url, autocommit=True) as connection:
        connection.execute(
            "create database jobs_latin encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'"
        )
    url = swap(pg_server.url, path="/jobs_latin")
    try:
        with pytest.raises(ConfigurationError, match="LATIN1"):
            schema.check(make_database(url))
    finally:
        pg_server.drop_database(url)


def test_a_role_without_rights_is_told_what_to_grant(make_database, pg_database):
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("drop role if exists jobs_nobody")
        connection.execute("create role jobs_nobody login")
    parts = urlsplit(pg_database)
    database = make_database(swap(pg_database, netloc=f"jobs_nobody@{parts.hostname}:{parts.port}"))

    with pytest.raises(ServiceDown, match="Grant the role"):
        schema.check(database)


def test_a_read_only_server_is_an_outage_not_a_refusal(make_database, pg_database):
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(f"alter database {urlsplit(pg_database).path[1:]} set default_transaction_read_only = on")

    with pytest.raises(ServiceDown, match="read only"), make_database(pg_database).write() as connection:
        connection.exec_driver_sql("delete from job_runs")


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


def test_everything_works_in_a_schema_of_its_own(make_app, pg_server, monkeypatch):
    url = pg_server.create_database()
    try:
        app = make_app(url, database_schema="work")
        schema.upgrade(app.database)
        schema.check(app.database)
        with closing(psycopg.connect(url)) as connection:
            tables = connection.execute(
                "select distinct schemaname from pg_tables where tablename like 'job%'"
            ).fetchall()
        assert tables == [("work",)]
        monkeypatch.setattr(boot, "_app", app)
        run_id = PostgresNote().enqueue(session=None).id
        with closing(psycopg.connect(url)) as connection:
            assert connection.execute("select id from work.job_runs").fetchall() == [(run_id,)]
        app.close()
    finally:
        pg_server.drop_database(url)
