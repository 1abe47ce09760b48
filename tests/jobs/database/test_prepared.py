"""A prepared query answers as SQLAlchemy's own does, in a transaction, in a schema, and when the server is gone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import String, Uuid, bindparam, select
from sqlalchemy.exc import MultipleResultsFound

from jobs.app import App
from jobs.database.engine import Database
from jobs.database.models import OperatorSession
from jobs.database.prepared import Prepared
from jobs.database.sql import Executor
from jobs.errors import ServiceDown
from jobs.ledger.operators import sessions
from jobs.migration import schema
from jobs.settings import Settings
from tests.conftest import MakeApp
from tests.servers import PostgresServer

_BY_ACTOR = Prepared(
    select(OperatorSession.id, OperatorSession.expires_at, OperatorSession.user_id).where(
        OperatorSession.actor == bindparam("actor", type_=String()),
    )
)
_BY_ID = Prepared(select(OperatorSession.actor).where(OperatorSession.id == bindparam("id", type_=Uuid())))


def _open(session: Executor, actor: str) -> None:
    sessions.open_session(
        session, uuid4(), kind="page", user_id=None, actor=actor, role="viewer", secret_hash=actor + "'s",
        lasts=timedelta(hours=1),
    )  # fmt: skip


def test_a_prepared_query_finds_one_row_or_none_and_refuses_several(app: App) -> None:
    with app.database.write() as connection:
        for actor in ("ada", "grace", "grace"):
            _open(connection, f"{actor}{'' if actor == 'ada' else uuid4().hex[:4]}")
        assert _BY_ACTOR.one(connection, actor="ada") is not None, "it sees its own transaction"
    with app.database.read() as connection:
        found = _BY_ACTOR.one(connection, actor="ada")
        assert found is not None
        run_id, until, user_id = found
        assert timedelta(0) < until - datetime.now(UTC) <= timedelta(hours=1)
        assert user_id is None
        assert _BY_ID.one(connection, id=run_id) == ("ada",)
        assert _BY_ID.one(connection, id=uuid4()) is None
        assert _BY_ACTOR.one(connection, actor="%s' or 1=1 --") is None
        every = Prepared(select(OperatorSession.id))
        with pytest.raises(MultipleResultsFound):
            every.one(connection)


def test_a_missing_parameter_is_refused(pg_database: str) -> None:
    database = Database(pg_database, Settings(database_url=pg_database))
    fixed = Prepared(select(OperatorSession.id).where(OperatorSession.actor == "ada"))
    with database.read() as connection, pytest.raises(AssertionError, match="ada"):
        fixed.one(connection)
    database.close()


def test_a_slow_statement_is_logged_without_its_values(
    ledger_url: str, make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(ledger_url, slow_statement=timedelta(0))
    with app.database.read() as connection, caplog.at_level(logging.WARNING, logger="jobs.database"):
        _BY_ACTOR.one(connection, actor="a secret")

    said = [one.__dict__ for one in caplog.records if one.message == "Slow statement"]
    assert "operator_sessions" in said[-1]["statement"]
    assert "a secret" not in str(said)


def test_a_prepared_query_uses_the_schema_of_its_database(pg_server: PostgresServer, make_app: MakeApp) -> None:
    url = pg_server.create_database()
    try:
        for name in ("Back office", "work"):
            app = make_app(url, database_schema=name)
            schema.upgrade(app.database)
            with app.database.write() as connection:
                _open(connection, f"in {name}")
            with app.database.read() as connection:
                assert _BY_ACTOR.one(connection, actor=f"in {name}") is not None
                assert _BY_ACTOR.one(connection, actor="in Back office" if name == "work" else "in work") is None
            app.close()
    finally:
        pg_server.drop_database(url)


def test_a_connection_that_ends_under_it_is_an_outage_and_replaced(pg_database: str) -> None:
    database = Database(pg_database, Settings(database_url=pg_database))

    def ask_what_ends() -> None:
        with database.read() as connection:
            own = connection.exec_driver_sql("select pg_backend_pid()").scalar()
            with database.read() as other:
                other.exec_driver_sql("select pg_terminate_backend(%s)", (own,))
            _BY_ACTOR.one(connection, actor="ada")

    with pytest.raises(ServiceDown):
        ask_what_ends()

    with database.read() as connection:
        assert _BY_ACTOR.one(connection, actor="ada") is None
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    database.close()
