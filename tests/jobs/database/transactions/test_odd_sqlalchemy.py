"""Sessions of SQLAlchemy in odd but valid use."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from jobs import boot
from jobs.errors import EnqueueRefused
from tests.jobs.database.transactions.kinds import begins_itself, sqlalchemy_url
from tests.jobs.database.transactions.test_joining import Paid, orders


@pytest.fixture
def engine(app, ledger_url):
    made = begins_itself(
        create_engine(sqlalchemy_url(ledger_url, "psycopg" if "postgres" in ledger_url else "pysqlite"))
    )
    yield made
    made.dispose()


def test_threads_that_share_a_scoped_session_have_a_transaction_each(app, engine):
    registry = scoped_session(sessionmaker(engine, expire_on_commit=False))

    def use(order: int) -> None:
        Paid(order=order).enqueue(session=registry, key=f"k{order}")
        registry.commit() if order % 2 else registry.rollback()
        registry.remove()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(12)))

    assert orders(app) == [1, 3, 5, 7, 9, 11]


def test_the_options_of_a_connection_are_as_they_were(app, engine):
    with engine.connect().execution_options(schema_translate_map={"x": "y"}, mine=1) as connection:
        before = dict(connection.get_execution_options())
        Paid(order=1).enqueue(session=connection, key="k")
        assert dict(connection.get_execution_options()) == before
        connection.commit()

    assert orders(app) == [1]


def test_a_refused_connection_in_autocommit_is_as_it_was(app, ledger_url):
    engine = create_engine(sqlalchemy_url(ledger_url, "psycopg" if "postgres" in ledger_url else "pysqlite"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for key in (None, "k"):
            with pytest.raises(EnqueueRefused, match="in AUTOCOMMIT"):
                Paid(order=1).enqueue(session=connection, key=key)
        assert not connection.in_transaction()
        assert connection.get_execution_options()["isolation_level"] == "AUTOCOMMIT"
        with connection.begin():
            pass
    engine.dispose()

    assert orders(app) == []


def test_a_codec_of_the_application_s_engine_changes_nothing(pg_app, pg_database):
    """Ids that asyncpg returns as text; and no prepared statements, as for pgbouncer."""

    async def use() -> None:
        engine = create_async_engine(
            sqlalchemy_url(pg_database, "asyncpg"), connect_args={"statement_cache_size": 0}, future=True
        )
        event.listen(
            engine.sync_engine,
            "connect",
            lambda raw, record: raw.run_async(
                lambda one: one.set_type_codec("uuid", encoder=str, decoder=str, schema="pg_catalog")
            ),
        )
        async with AsyncSession(engine) as session:
            first = await Paid(order=1).enqueue_async(session=session, key="k", on_success=[Paid(order=90)])
            again = await Paid(order=1).enqueue_async(session=session, key="k")
            assert (again.id, again.created) == (first.id, False)
            await session.commit()
        await engine.dispose()

    asyncio.run(use())

    assert orders(pg_app) == [1]


def test_async_connections_before_and_after_their_time_are_refused(app, ledger_url):
    url = sqlalchemy_url(ledger_url, "asyncpg" if "postgres" in ledger_url else "aiosqlite")

    async def use() -> None:
        engine = create_async_engine(url)
        begins_itself(engine.sync_engine)
        early = engine.connect()
        with pytest.raises(EnqueueRefused, match="cannot be used"):
            await Paid(order=1).enqueue_async(session=early)
        async with engine.connect() as connection:
            pass
        with pytest.raises(EnqueueRefused, match="closed"):
            await Paid(order=1).enqueue_async(session=connection)
        async with AsyncSession(engine) as session:
            await Paid(order=1).enqueue_async(session=session)
        # A session that was closed begins anew, as for its owner's statements.
        await Paid(order=2).enqueue_async(session=session)
        await session.commit()
        await session.close()
        await engine.dispose()

    asyncio.run(use())

    assert orders(app) == [2]


def test_two_tasks_of_one_async_session_lose_nothing(app, ledger_url):
    url = sqlalchemy_url(ledger_url, "asyncpg" if "postgres" in ledger_url else "aiosqlite")

    async def use() -> list[object]:
        engine = create_async_engine(url)
        begins_itself(engine.sync_engine)
        async with AsyncSession(engine) as session:
            done = await asyncio.gather(
                *(Paid(order=n).enqueue_async(session=session) for n in range(3)), return_exceptions=True
            )
            await session.commit()
        await engine.dispose()
        return done

    done = asyncio.run(use())

    refused = [one for one in done if isinstance(one, BaseException)]
    assert len(orders(app)) == 3 - len(refused)
    assert all(isinstance(one, EnqueueRefused) for one in refused), refused


def test_two_ledgers_in_one_process_keep_their_transactions_apart(app, engine, ledger_url, make_app, tmp_path):
    from jobs.migration import schema

    url = f"sqlite:///{tmp_path}/second.db"
    second = make_app(url)
    schema.upgrade(second.database)
    theirs = begins_itself(create_engine(url))
    with Session(engine) as session, Session(theirs) as other:
        Paid(order=1).enqueue(session=session)
        with pytest.raises(EnqueueRefused, match="another database"):
            Paid(order=2).enqueue(session=other)
        first, boot._app = boot._app, second
        try:
            Paid(order=3).enqueue(session=other)
            with pytest.raises(EnqueueRefused, match="another database"):
                Paid(order=4).enqueue(session=session)
        finally:
            boot._app = first
        other.commit()
        session.commit()
    theirs.dispose()

    assert (orders(app), orders(second)) == ([1], [3])
