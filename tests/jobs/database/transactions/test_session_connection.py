"""Which sessions an application may enqueue in, and where our tables are found in them. K.20, K.21, K.22"""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, scoped_session, sessionmaker

import jobs
from jobs.errors import EnqueueRefused
from tests.jobs.database.transactions.session_orders import Base, Order, SessionNote, count, driven
from tests.jobs.database.transactions.session_orders import engine as engine


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
