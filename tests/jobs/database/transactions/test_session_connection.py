"""Which sessions an application may enqueue in, and where our tables are found in them. K.20, K.21, K.22"""

from __future__ import annotations

import asyncio
from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

import jobs
from jobs import Job, boot
from jobs.errors import EnqueueRefused
from tests.servers import PostgresServer


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class SessionNote(Job):
    n: int = 0

    def perform(self) -> None: ...


def driven(url: str, *, is_async: bool = False) -> str:
    """``url`` with the driver that an application names."""
    sqlite = "sqlite+aiosqlite:" if is_async else "sqlite:"
    return url.replace("postgresql:", "postgresql+psycopg:").replace("sqlite:", sqlite)


@pytest.fixture
def engine(app, ledger_url):
    made = create_engine(driven(ledger_url))
    yield made
    made.dispose()


def count(app) -> int:
    with app.database.read() as connection:
        number: int = connection.exec_driver_sql("select count(*) from job_runs").scalar()
        return number


class TestSessionsThatStandForAnother:
    def test_a_scoped_session_is_the_session_it_stands_for(self, app, engine):
        registry = scoped_session(sessionmaker(engine))

        SessionNote().enqueue(session=registry)
        jobs.enqueue_many([SessionNote(), SessionNote()], session=registry)
        SessionNote().enqueue(session=registry(), key="k")
        assert count(app) == 0 or app.database.dialect == "sqlite"
        registry.commit()

        assert count(app) == 4
        SessionNote().enqueue(session=registry)
        registry.rollback()
        assert count(app) == 4
        registry.remove()

    @pytest.mark.parametrize("scoped", [False, True])
    def test_an_async_one_too(self, app, ledger_url, scoped):
        async def main() -> None:
            engine = create_async_engine(driven(ledger_url, is_async=True))
            maker = async_sessionmaker(engine)
            session = async_scoped_session(maker, scopefunc=asyncio.current_task) if scoped else maker()
            await SessionNote().enqueue_async(session=session)
            await jobs.enqueue_many_async([SessionNote()], session=session)
            await session.commit()
            await SessionNote().enqueue_async(session=session)
            await session.rollback()
            await session.close()
            await engine.dispose()

        asyncio.run(main())

        assert count(app) == 2

    def test_a_session_of_the_other_kind_is_refused_with_the_call_that_takes_it(self, app, engine, ledger_url):
        registry = async_scoped_session(async_sessionmaker(), scopefunc=lambda: 1)
        for one in (AsyncSession(), registry):
            with pytest.raises(EnqueueRefused, match="takes a SQLAlchemy Session") as caught:
                SessionNote().enqueue(session=one)
            assert "enqueue_async" in str(caught.value.hint)

        for one in (Session(engine), scoped_session(sessionmaker(engine)), object()):
            with pytest.raises(EnqueueRefused, match="takes a SQLAlchemy AsyncSession"):
                asyncio.run(SessionNote().enqueue_async(session=one))
            with pytest.raises(EnqueueRefused, match="takes a SQLAlchemy AsyncSession"):
                asyncio.run(jobs.enqueue_many_async([SessionNote()], session=one))

    def test_a_session_factory_is_refused(self, app, engine):
        with pytest.raises(EnqueueRefused, match="takes a SQLAlchemy Session, got sessionmaker"):
            SessionNote().enqueue(session=sessionmaker(engine))


class TestSessionsOfSeveralDatabases:
    @pytest.fixture
    def other(self, tmp_path):
        made = create_engine(f"sqlite:///{tmp_path}/other.db")
        yield made
        made.dispose()

    def test_the_engine_on_the_ledger_s_database_is_found(self, app, engine, other):
        class Elsewhere(DeclarativeBase):
            pass

        for binds in ({Base: engine}, {Elsewhere: other, Base: engine}, {Order: engine, Elsewhere: other}):
            before = count(app)
            with Session(binds=binds) as session:
                SessionNote().enqueue(session=session)
                SessionNote().enqueue(session=session, key=f"k{before}")
                session.commit()
            assert count(app) == before + 2

    def test_a_session_that_routes_by_itself_is_asked_for_our_tables(self, app, engine, other):
        class Routing(Session):
            def get_bind(self, mapper=None, **rest):
                return engine if mapper is not None and mapper.local_table.name.startswith("job_") else other

        with Routing() as session:
            SessionNote().enqueue(session=session)
            session.commit()

        assert count(app) == 1

    def test_a_session_without_one_engine_is_refused_with_a_message(self, app, engine, other, ledger_url):
        class Elsewhere(DeclarativeBase):
            pass

        twin = create_engine(driven(ledger_url))
        for binds, why in (
            ({Elsewhere: other}, "another database"),
            ({Base: engine, Elsewhere: twin}, "Several engines"),
            (None, "bound to no database"),
        ):
            with Session(binds=binds) as session, pytest.raises(EnqueueRefused, match=why) as caught:
                SessionNote().enqueue(session=session)
            assert caught.value.hint
        twin.dispose()
        assert count(app) == 0


class TestSessionsInAutocommit:
    @pytest.mark.parametrize("where", ["engine", "options", "connection"])
    def test_sessions_in_autocommit_are_refused_because_a_rollback_would_leave_the_run(self, app, ledger_url, where):
        asked = {"isolation_level": "AUTOCOMMIT"}
        engine = create_engine(driven(ledger_url), **(asked if where == "engine" else {}))
        bind = engine.execution_options(**asked) if where == "options" else engine
        with Session(bind) as session:
            if where == "connection":
                session.connection(execution_options=asked)
            for key in (None, "k"):
                with pytest.raises(EnqueueRefused, match="AUTOCOMMIT"):
                    SessionNote().enqueue(session=session, key=key)
            session.rollback()
        engine.dispose()

        assert count(app) == 0

    def test_a_session_that_begins_its_own_transactions_is_accepted(self, app, ledger_url):
        engine = create_engine(driven(ledger_url))
        if app.database.dialect == "sqlite":
            event.listen(engine, "connect", lambda raw, record: setattr(raw, "isolation_level", None))
            event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
        with Session(engine) as session:
            SessionNote().enqueue(session=session, key="k")
            session.rollback()
            SessionNote().enqueue(session=session)
            session.commit()
        engine.dispose()

        assert count(app) == 1


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
