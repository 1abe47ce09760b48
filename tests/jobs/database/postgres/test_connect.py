"""Each connection is as we need it, whatever server, role and URL say; the rest is theirs. K.5, K.15, K.21"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jobs import boot
from jobs.client import lookup
from jobs.client.job import Job
from jobs.database.engine import Database
from jobs.ledger.queries.find import list_runs
from jobs.settings import Settings
from tests.templates import migrate

LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
STRANGE = {
    "timezone": "Asia/Tokyo",
    "datestyle": "German",
    "default_transaction_isolation": "serializable",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "jit": "on",
}


class ConnectNote(Job):
    def perform(self) -> None:
        pass


@pytest.fixture
def strange_database(pg_database):
    """A database whose sessions begin with other settings than any of ours expects."""
    name = urlsplit(pg_database).path[1:]
    with psycopg.connect(pg_database, autocommit=True) as connection:
        for setting, value in STRANGE.items():
            connection.execute(f"alter database {name} set {setting} = '{value}'")
    return pg_database


def shown(database: Database, *names: str, alone: bool) -> list[str]:
    with database.read() if alone else database.write() as connection:
        return [connection.exec_driver_sql(f"show {name}").scalar() for name in names]


@pytest.mark.parametrize("pgbouncer", [False, True])
@pytest.mark.parametrize("alone", [False, True], ids=["transaction", "statement"])
def test_time_zone_dates_and_isolation_are_ours(strange_database, pgbouncer, alone):
    with closing(Database(strange_database, Settings(pgbouncer=pgbouncer))) as database:
        said = shown(database, "timezone", "datestyle", "transaction_isolation", alone=alone)

    assert said == ["UTC", "ISO, MDY", "read committed"]


@pytest.mark.parametrize("pgbouncer", [False, True])
def test_a_listening_connection_has_the_same_settings(strange_database, pgbouncer):
    with closing(Database(strange_database, Settings(pgbouncer=pgbouncer))) as database:
        connection = database._connector.connect()
        with closing(connection):
            assert connection.execute("show timezone").fetchone() == ("UTC",)


@pytest.mark.parametrize("pgbouncer", [False, True])
def test_a_run_at_the_end_of_time_is_listed_from_a_server_east_of_utc(
    make_app, strange_database, monkeypatch, pgbouncer
):
    app = make_app(strange_database, pgbouncer=pgbouncer)
    monkeypatch.setattr(boot, "_app", app)

    run_id = ConnectNote().enqueue(at=LAST).id

    with app.database.read() as connection:
        assert [one.run_at for one in list_runs(connection, limit=5)] == [LAST]
    found = lookup.find(run_id)
    assert found is not None
    assert found.run_at == LAST


def test_options_of_the_url_are_kept(pg_server):
    url = pg_server.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema app")
    said = f"{url}?options={quote('-csearch_path=app -c work_mem=5MB -c jit=on -c timezone=Asia/Tokyo')}"
    try:
        migrate(said)
        with closing(Database(said, Settings(statement_timeout=7))) as database:
            names = ("search_path", "work_mem", "jit", "timezone", "statement_timeout", "plan_cache_mode")
            assert shown(database, *names, alone=True) == ["app", "5MB", "on", "UTC", "7s", "force_custom_plan"]
        with psycopg.connect(url) as connection:
            found = connection.execute("select schemaname from pg_tables where tablename = 'job_runs'").fetchall()
        assert found == [("app",)]
    finally:
        pg_server.drop_database(url)


def test_an_application_with_the_same_url_finds_the_tables(pg_server, make_app, monkeypatch):
    url = pg_server.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema app")
    said = f"{url}?options=-csearch_path%3Dapp"
    app = make_app(said)
    monkeypatch.setattr(boot, "_app", app)
    migrate(said)
    engine = create_engine(said.replace("postgresql:", "postgresql+psycopg:"))

    with Session(engine) as session:
        ConnectNote().enqueue(session=session)
        session.commit()

    engine.dispose()
    with app.database.read() as connection:
        assert len(list_runs(connection, limit=5)) == 1
    app.close()
    pg_server.drop_database(url)


def test_options_of_the_environment_are_kept_where_the_url_has_none(pg_database, monkeypatch):
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=6MB -c datestyle=German")
    monkeypatch.setenv("PGAPPNAME", "shop")
    with closing(Database(pg_database, Settings())) as database:
        assert shown(database, "work_mem", "datestyle", "application_name", alone=True) == ["6MB", "ISO, MDY", "shop"]

    with closing(Database(f"{pg_database}?options=-cwork_mem%3D7MB&application_name=till", Settings())) as database:
        assert shown(database, "work_mem", "application_name", alone=True) == ["7MB", "till"]


def test_a_connection_without_an_application_name_is_called_jobledger(pg_database):
    with closing(Database(pg_database, Settings())) as database:
        assert shown(database, "application_name", alone=True) == ["jobledger"]
