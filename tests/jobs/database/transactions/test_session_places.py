"""Sessions beside a schema of our own, and sessions of another server."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from jobs import boot
from jobs.errors import EnqueueRefused
from tests.jobs.database.transactions.session_orders import Base, Order, SessionNote, count, driven
from tests.servers import PostgresServer


@pytest.fixture
def with_schema(pg_server, make_app, monkeypatch):
    """An application with tables in public, and the ledger's in a schema of their own: the App and the engine."""
    from jobs.migration import schema

    url = pg_server.create_database()
    app = make_app(url, database_schema="work")
    schema.upgrade(app.database)
    monkeypatch.setattr(boot, "_app", app)
    engine = create_engine(driven(url))
    Base.metadata.create_all(engine)
    yield app, engine
    engine.dispose()
    app.close()
    pg_server.drop_database(url)


class TestASchemaOfOurOwn:
    """JOBS_DATABASE_SCHEMA: our tables in theirs, the application's untouched, in any session."""

    @pytest.mark.parametrize("key", [None, "k"])
    def test_an_application_s_session_finds_our_tables_and_its_own(self, with_schema, key):
        app, engine = with_schema
        with Session(engine) as session:
            session.add(Order(id=1))
            SessionNote().enqueue(session=session, key=key)
            session.add(Order(id=2))
            assert len(session.query(Order).all()) == 2
            session.commit()

        with app.database.read() as connection:
            assert connection.exec_driver_sql("select count(*) from work.job_runs").scalar() == 1
            assert connection.exec_driver_sql("select count(*) from public.orders").scalar() == 2

    def test_an_application_s_own_translation_of_schemas_stays(self, with_schema):
        app, engine = with_schema
        with engine.begin() as connection:
            connection.execute(text("create schema tenant"))
            connection.execute(text("create table tenant.orders (id int primary key)"))
        tenant = engine.execution_options(schema_translate_map={None: "tenant"})
        with Session(tenant) as session:
            SessionNote().enqueue(session=session)
            session.add(Order(id=7))
            session.commit()

        with app.database.read() as connection:
            assert connection.exec_driver_sql("select id from tenant.orders").scalars().all() == [7]
            assert connection.exec_driver_sql("select count(*) from work.job_runs").scalar() == 1

    def test_tables_outside_the_search_path_are_named_as_that(self, make_app, pg_database, monkeypatch):
        monkeypatch.setattr(boot, "_app", make_app(pg_database))
        engine = create_engine(driven(pg_database), poolclass=NullPool)
        event.listen(engine, "connect", lambda raw, record: raw.execute("set search_path = pg_catalog"))

        with Session(engine) as session, pytest.raises(EnqueueRefused, match="does not find") as caught:
            SessionNote().enqueue(session=session)

        assert "JOBS_DATABASE_SCHEMA" in str(caught.value.hint)


class TestASessionOnAnotherServer:
    """Both URLs may name their server where it does not show: in the query, by a creator, by arguments."""

    @pytest.fixture
    def twins(self, pg_server, make_app, monkeypatch):
        """The ledger's URL, and another server's with a database of the same name."""
        if not pg_server.is_ours:
            pytest.skip("the servers' folders are needed")
        url = pg_server.create_database()
        name = urlsplit(url).path[1:]
        with closing(PostgresServer()) as stranger:
            stranger.start()
            with psycopg.connect(stranger.url, autocommit=True) as connection:
                connection.execute(f"create database {name}")
            app = make_app(_in_query(url))
            monkeypatch.setattr(boot, "_app", app)
            yield _in_query(url), _in_query(urlunsplit(urlsplit(stranger.url)._replace(path=f"/{name}")))
        app.close()
        pg_server.drop_database(url)

    def test_another_server_is_refused_under_every_name(self, twins):
        _, theirs = twins
        host, port = (one.partition("=")[2] for one in urlsplit(theirs).query.split("&"))
        bare = "postgresql+psycopg://postgres@/" + urlsplit(theirs).path[1:]
        for engine in (
            create_engine(driven(theirs)),
            create_engine(bare, connect_args={"host": host, "port": port}),
            create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(theirs)),
        ):
            with Session(engine) as session, pytest.raises(EnqueueRefused, match="another database"):
                SessionNote().enqueue(session=session)
            engine.dispose()

    def test_the_ledgers_own_server_is_accepted_under_every_name(self, twins):
        from jobs.migration import schema

        ours, _ = twins
        schema.upgrade(boot.current().database)
        for engine in (
            create_engine(driven(ours)),
            create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(ours)),
        ):
            with Session(engine) as session:
                SessionNote().enqueue(session=session)
                session.commit()
            engine.dispose()

        assert count(boot.current()) == 2


def _in_query(url: str) -> str:
    parts = urlsplit(url)
    return f"postgresql://postgres@{parts.path}?host={parts.hostname}&port={parts.port}"
