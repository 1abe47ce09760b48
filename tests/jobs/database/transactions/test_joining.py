"""The matrix of ``session=``: every kind of transaction, however it ends."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

import jobs
from jobs import Job, KeyConflict
from jobs.errors import EnqueueRefused
from jobs.states import FAR
from tests.jobs.database.transactions.kinds import (
    BOTH,
    async_session,
    asyncpg_connection,
    begins_itself,
    sqlalchemy_url,
)


class Paid(Job):
    order: int = 0

    def perform(self) -> None: ...


def orders(app) -> list[int]:
    """The orders of the runs that another connection sees."""
    with app.database.read() as connection:
        rows = connection.exec_driver_sql("select arguments from job_runs")
        return sorted(int(str(row[0]).partition("order")[2].strip("\"': }")) for row in rows)


def test_a_run_exists_when_and_only_when_its_transaction_commits(case, monkeypatch):
    app, url, kind = case
    announced = []
    monkeypatch.setattr("jobs.enqueue.write_path.announce_runs", lambda app, runs: announced.append(orders(app)))

    async def use() -> None:
        async with kind(url) as held:
            await held.enqueue(Paid(order=1))
            await held.enqueue_many([Paid(order=2), Paid(order=3)])
            assert orders(app) == []
            await held.commit()
            assert orders(app) == [1, 2, 3]

            await held.enqueue(Paid(order=4))
            await held.enqueue(Paid(order=5), key="k", on_success=[Paid(order=6)])
            await held.rollback()
            assert orders(app) == [1, 2, 3]

            await held.enqueue(Paid(order=7))
            await held.execute("savepoint theirs")
            await held.enqueue(Paid(order=8))
            await held.enqueue_many([Paid(order=9)])
            await held.enqueue(Paid(order=10), key="in the savepoint")
            await held.execute("rollback to savepoint theirs")
            await held.commit()
            assert orders(app) == [1, 2, 3, 7]

            await held.enqueue(Paid(order=11), key="held", on_success=[Paid(order=12)])
            await held.commit()
            first = await held.enqueue(Paid(order=11), key="held")
            with pytest.raises(KeyConflict):
                await held.enqueue(Paid(order=13), key="held")
            # The transaction is as usable as before the conflict.
            await held.enqueue(Paid(order=14))
            await held.commit()
            assert not first.created
            assert orders(app) == [1, 2, 3, 7, 11, 14]

            await held.enqueue(Paid(order=15))
            # The process ends before its commit.

    asyncio.run(use())

    assert orders(app) == [1, 2, 3, 7, 11, 14]
    # SQLAlchemy tells of its commits, once the rows are there for others.
    assert announced == ([[1, 2, 3], [1, 2, 3, 7], [1, 2, 3, 7, 11], [1, 2, 3, 7, 11, 14]] if kind in BOTH else [])


AUTOCOMMIT = {
    "postgresql": lambda url: psycopg.connect(url, autocommit=True),
    "sqlite": lambda url: sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None),
}
BEGIN = {"postgresql": "begin", "sqlite": "begin immediate"}


def test_a_connection_in_autocommit_is_refused_outside_a_transaction_alone(app, ledger_url):
    dialect = app.database.dialect
    with closing(AUTOCOMMIT[dialect](ledger_url)) as connection:
        for key in (None, "k"):
            with pytest.raises(EnqueueRefused, match="in AUTOCOMMIT"):
                Paid(order=1).enqueue(session=connection, key=key)
        connection.execute(BEGIN[dialect])
        Paid(order=2).enqueue(session=connection, key="k")
        connection.execute("rollback")
        connection.execute(BEGIN[dialect])
        Paid(order=3).enqueue(session=connection)
        connection.execute("commit")

    assert orders(app) == [3]


def test_asyncpg_outside_a_transaction_is_refused(make_app, pg_database, monkeypatch):
    monkeypatch.setattr(jobs.boot, "_app", make_app(pg_database))

    async def use() -> None:
        connection = await asyncpg.connect(pg_database)
        with pytest.raises(EnqueueRefused, match="in AUTOCOMMIT"):
            await Paid().enqueue_async(session=connection)
        async with connection.transaction():
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute("select nothing")
            with pytest.raises(EnqueueRefused, match="has failed"):
                await Paid().enqueue_async(session=connection)
            await connection.execute("rollback; begin")
        await connection.close()
        with pytest.raises(EnqueueRefused, match="closed"):
            await Paid().enqueue_async(session=connection)

    asyncio.run(use())


def test_a_transaction_that_failed_is_refused_in_words(make_app, pg_database, monkeypatch):
    app = make_app(pg_database)
    monkeypatch.setattr(jobs.boot, "_app", app)
    engine = create_engine(sqlalchemy_url(pg_database, "psycopg"))
    with closing(psycopg.connect(pg_database)) as plain, Session(engine) as session, engine.connect() as core:
        run = session.connection().exec_driver_sql
        for one, execute in ((plain, plain.execute), (session, run), (core, core.exec_driver_sql)):
            with pytest.raises(Exception, match="nothing"):
                execute("select nothing")
            for key in (None, "k"):
                with pytest.raises(EnqueueRefused, match="has failed"):
                    Paid(order=1).enqueue(session=one, key=key)
            one.rollback()
            Paid(order=2).enqueue(session=one)
            one.commit()
        plain.execute("set transaction read only")
        with pytest.raises(EnqueueRefused, match="read only"):
            Paid(order=1).enqueue(session=plain)
    with pytest.raises(EnqueueRefused, match="closed"):
        Paid(order=1).enqueue(session=plain)
    with pytest.raises(EnqueueRefused, match="closed"):
        Paid(order=1).enqueue(session=core)
    engine.dispose()

    assert orders(app) == [2, 2, 2]


def test_a_connection_to_another_database_is_refused_and_named(app, ledger_url, pg_server, tmp_path):
    url = pg_server.create_database()
    engine = create_engine(sqlalchemy_url(url, "psycopg"))
    name = url.rpartition("/")[2].partition("?")[0]
    with closing(psycopg.connect(url)) as plain, engine.connect() as core:
        for one in (plain, core):
            with pytest.raises(EnqueueRefused, match=f"another database .*{name}"):
                Paid().enqueue(session=one)
    engine.dispose()
    pg_server.drop_database(url)
    for file in (":memory:", f"{tmp_path}/other.db"):
        with (
            closing(sqlite3.connect(file)) as connection,
            pytest.raises(EnqueueRefused, match=r"another database .*(memory|other\.db)"),
        ):
            Paid().enqueue(session=connection)

    assert orders(app) == []


def test_a_session_inside_a_longer_transaction_is_announced_after_that(app, ledger_url, monkeypatch):
    announced = []
    monkeypatch.setattr("jobs.enqueue.write_path.announce_runs", lambda app, runs: announced.append(orders(app)))
    engine = begins_itself(
        create_engine(sqlalchemy_url(ledger_url, "psycopg" if "postgres" in ledger_url else "pysqlite"))
    )
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            Paid(order=1).enqueue(session=session)
            session.commit()
        assert announced == []
        outer.commit()
        with connection.begin() as outer, Session(connection) as session:
            Paid(order=2).enqueue(session=session)
            outer.rollback()
    engine.dispose()

    assert announced == [[1]]


@pytest.mark.parametrize("kind", [asyncpg_connection, async_session])
def test_a_run_that_asyncpg_holds_for_ever_has_a_moment_that_any_driver_reads(kind, pg_database, make_app, monkeypatch):
    app = make_app(pg_database)
    monkeypatch.setattr(jobs.boot, "_app", app)
    parent = Paid(order=1).enqueue()

    async def use() -> None:
        async with kind(pg_database) as transaction:
            await transaction.enqueue(Paid(order=2), after=[parent])
            await transaction.commit()

    asyncio.run(use())

    with psycopg.connect(pg_database) as connection:
        held = connection.execute("select run_at from job_runs where hold = 'waiting'").fetchall()
    assert held == [(FAR,)]
