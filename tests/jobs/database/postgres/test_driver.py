"""PostgreSQL's errors and limits, each one clear line; and a ledger behind pgbouncer's rules."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from jobs import boot
from jobs.database.postgres.connection import LimitedConnection
from jobs.errors import ConfigurationError, EnqueueRefused, LedgerMissing, ServiceDown
from jobs.migration import schema
from tests.jobs.database.postgres.databases import PostgresNote, swap
from tests.jobs.database.postgres.databases import make_database as make_database
from tests.server_process import free_port
from tests.servers import PostgresServer
from tests.templates import migrate
from tests.waiting import wait_until


def test_an_unreachable_server_is_one_line_without_the_password(make_database):
    database = make_database(f"postgresql://app:s3cret@127.0.0.1:{free_port()}/shop")

    with pytest.raises(ServiceDown) as caught:
        schema.check(database)

    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_missing_database_is_named(make_database, pg_database):
    with pytest.raises(ServiceDown, match="Create the database"):
        schema.check(make_database(swap(pg_database, path="/not_there")))


def test_a_database_without_tables_names_the_command(make_database, pg_server):
    url = pg_server.create_database()
    try:
        with pytest.raises(LedgerMissing, match="migrate up"):
            schema.check(make_database(url))
    finally:
        pg_server.drop_database(url)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("do", [schema.check, schema.upgrade], ids=["check", "upgrade"])
def test_a_database_that_cannot_hold_every_text_is_refused(make_database, pg_server, encoding, do):
    name = f"jobs_{encoding.lower()}"
    with psycopg.connect(pg_server.url, autocommit=True) as connection:
        connection.execute(
            f"create database {name} encoding '{encoding}' template template0 lc_collate 'C' lc_ctype 'C'"
        )
    url = swap(pg_server.url, path=f"/{name}")
    try:
        with pytest.raises(ConfigurationError, match=encoding):
            do(make_database(url))
    finally:
        pg_server.drop_database(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://app:s3cret@127.0.0.1:port/shop", "is not a database URL"),
        ("postgresql://app:s3cret@127.0.0.1/shop?nonsense=1", 'invalid connection option "nonsense"'),
    ],
)
def test_an_invalid_url_is_one_line_without_the_password(make_database, url, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        schema.check(make_database(url))

    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_read_only_server_is_an_outage_not_a_refusal(make_database, pg_database):
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(f"alter database {urlsplit(pg_database).path[1:]} set default_transaction_read_only = on")

    with pytest.raises(ServiceDown, match="read only"), make_database(pg_database).write() as connection:
        connection.exec_driver_sql("delete from job_runs")


def test_the_first_use_after_the_server_ended_its_connections_does_not_fail(make_database, pg_database):
    database = make_database(pg_database)
    with database.read() as one, database.read() as other:
        assert one.exec_driver_sql("select 1").scalar() == other.exec_driver_sql("select 1").scalar() == 1
    with psycopg.connect(pg_database, autocommit=True) as operator:
        ended = operator.execute(
            "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
            " where application_name = 'jobledger' and datname = current_database()"
        ).fetchone()

    assert ended == (2,)
    for _ in range(3):
        with database.write() as connection:
            connection.exec_driver_sql("select 1")


@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
def test_a_connection_that_ends_as_it_is_given_back_leaves_its_place(make_database, pg_database, monkeypatch, writes):
    def end(connection, value):
        raise psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly")

    database = make_database(pg_database)

    with database.write(alone=True) if writes else database.read() as connection:
        connection.execute(text("select 1"))
        monkeypatch.setattr(LimitedConnection, "set_autocommit", end)
    monkeypatch.undo()

    assert database.engine.pool.checkedout() == 0
    with database.read() as connection:
        assert connection.scalar(text("select 1")) == 1


def test_a_wrong_password_is_one_line_without_it(make_database, pg_database, pg_server):
    if not pg_server.is_ours:
        pytest.skip("needs a server whose pg_hba.conf is ours")
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("drop role if exists jobs_secret")
        connection.execute("create role jobs_secret login password 'right'")
        rules = Path(connection.execute("show hba_file").fetchone()[0])
        before = rules.read_text()
        rules.write_text("host all jobs_secret 127.0.0.1/32 scram-sha-256\n" + before)
        connection.execute("select pg_reload_conf()")
    parts = urlsplit(pg_database)
    database = make_database(swap(pg_database, netloc=f"jobs_secret:wr0ng@{parts.hostname}:{parts.port}"))
    try:
        assert wait_until(lambda: "password" in refusal(database), seconds=60)
        said = refusal(database)
    finally:
        rules.write_text(before)
        with psycopg.connect(pg_database, autocommit=True) as connection:
            connection.execute("select pg_reload_conf()")

    assert "Check user and password in JOBS_DATABASE_URL" in said
    assert "\n" not in said
    assert "wr0ng" not in said


def test_a_server_that_never_answers_is_given_up_within_the_time_limit(make_database):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = make_database(f"postgresql://app:s3cret@127.0.0.1:{silent.getsockname()[1]}/x", connect_timeout=2)
        started = time.monotonic()
        said = refusal(database)

    assert time.monotonic() - started < 60
    assert "\n" not in said
    assert "s3cret" not in said


def test_a_host_that_is_not_there_is_one_line(make_database):
    said = refusal(make_database("postgresql://app:s3cret@no-such-host.invalid/x"))

    assert "no-such-host.invalid" in said
    assert "\n" not in said


def refusal(database) -> str:
    """What is said of a database that cannot be reached; nothing if it can."""
    try:
        schema.check(database)
    except ServiceDown as error:
        return str(error)
    return ""


class TestASessionOnAnotherServer:
    """A database of the same name is on many servers, and one server has many names."""

    def test_another_server_is_refused_by_its_identity_and_not_by_its_name(self, make_app, pg_server, monkeypatch):
        if not pg_server.is_ours:
            pytest.skip("a server of one's own is stopped with the test")
        url = pg_server.create_database()
        with closing(PostgresServer()) as stranger:
            stranger.start()
            theirs = stranger.create_database()
            name = urlsplit(url).path[1:]
            with psycopg.connect(stranger.url, autocommit=True) as connection:
                connection.execute(f"alter database {urlsplit(theirs).path[1:]} rename to {name}")
            app = make_app(url)
            schema.upgrade(app.database)
            migrate(swap(stranger.url, path=f"/{name}"))
            monkeypatch.setattr(boot, "_app", app)
            engine = create_engine(swap(stranger.url, path=f"/{name}", scheme="postgresql+psycopg"))
            with Session(engine) as session, pytest.raises(EnqueueRefused, match="another database"):
                PostgresNote().enqueue(session=session)
            engine.dispose()
        app.close()
        pg_server.drop_database(url)

    def test_another_name_of_the_same_server_serves(self, make_app, pg_database, monkeypatch):
        app = make_app(pg_database)
        monkeypatch.setattr(boot, "_app", app)
        alias = swap(
            pg_database, netloc=f"postgres@localhost:{urlsplit(pg_database).port}", scheme="postgresql+psycopg"
        )
        engine = create_engine(alias)
        with Session(engine) as session:
            PostgresNote().enqueue(session=session)
            session.commit()
        engine.dispose()

        with app.database.read() as connection:
            assert connection.exec_driver_sql("select count(*) from job_runs").scalar() == 1


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
