"""Connections of psycopg with odd but valid settings."""

from __future__ import annotations

import asyncio
from contextlib import closing

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row, kwargs_row, namedtuple_row, scalar_row
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jobs import KeyConflict
from jobs.errors import EnqueueRefused
from tests.jobs.database.transactions.kinds import sqlalchemy_url
from tests.jobs.database.transactions.test_joining import Paid, orders


class Point:
    def __init__(self, **fields: object) -> None:
        self.fields = fields


@pytest.mark.parametrize(
    "settings",
    [
        *({"row_factory": one} for one in (scalar_row, namedtuple_row, class_row(Point), kwargs_row(Point))),
        {"cursor_factory": psycopg.ClientCursor},
        {"cursor_factory": psycopg.RawCursor},
        {"prepare_threshold": None},
        {"prepare_threshold": 0},
        {"options": "-c DateStyle=SQL,DMY -c TimeZone=Asia/Kolkata -c IntervalStyle=postgres_verbose"},
    ],
)
def test_settings_of_the_connection_change_nothing_and_stay(pg_app, pg_database, settings):
    with closing(psycopg.connect(pg_database, **settings)) as connection:
        before = (connection.row_factory, connection.cursor_factory, connection.prepare_threshold)
        limits = connection.cursor(row_factory=psycopg.rows.tuple_row).execute("show lock_timeout").fetchall()
        for n in range(7):
            Paid(order=n).enqueue(session=connection, key=f"k{n}", on_success=[Paid(order=90)], tags=["\u65e5\u672c"])
        first = Paid(order=0).enqueue(session=connection, key="k0")
        with pytest.raises(KeyConflict):
            Paid(order=9).enqueue(session=connection, key="k0")
        connection.commit()
        assert not first.created
        assert (connection.row_factory, connection.cursor_factory, connection.prepare_threshold) == before
        assert connection.cursor(row_factory=psycopg.rows.tuple_row).execute("show lock_timeout").fetchall() == limits

    assert orders(pg_app) == list(range(7))


def test_an_encoding_that_cannot_hold_the_arguments_is_refused_in_words(pg_app, pg_database):
    with closing(psycopg.connect(pg_database, client_encoding="latin1")) as connection:
        Paid(order=1).enqueue(session=connection, tags=["caf\u00e9"])
        for key in (None, "k"):
            with pytest.raises(EnqueueRefused, match="client_encoding is"):
                Paid(order=2).enqueue(session=connection, key=key, tags=["\u65e5\u672c"])
        connection.commit()

    assert orders(pg_app) == [1]


def test_a_pipeline_enqueues_too(pg_app, pg_database):
    with closing(psycopg.connect(pg_database)) as connection:
        with connection.pipeline():
            pending = connection.execute("select 41 + 1")
            Paid(order=1).enqueue(session=connection)
            Paid(order=2).enqueue(session=connection, key="k")
            with pytest.raises(KeyConflict):
                Paid(order=3).enqueue(session=connection, key="k")
            Paid(order=4).enqueue(session=connection, key="m", on_success=[Paid(order=90)])
            assert pending.fetchone() == (42,)
            connection.commit()
            Paid(order=5).enqueue(session=connection)
            connection.rollback()
        connection.autocommit = True
        with connection.pipeline() as pipeline:
            connection.execute("select 1")
            with pytest.raises(EnqueueRefused, match="in AUTOCOMMIT"):
                Paid(order=6).enqueue(session=connection)
            pipeline.sync()
            with connection.transaction():
                Paid(order=7).enqueue(session=connection, key="n")

    assert orders(pg_app) == [1, 2, 4, 7]


def test_an_async_pipeline_enqueues_too(pg_app, pg_database):
    async def use() -> None:
        connection = await psycopg.AsyncConnection.connect(pg_database)
        async with connection.pipeline():
            await Paid(order=1).enqueue_async(session=connection)
            await Paid(order=2).enqueue_async(session=connection, key="k", on_success=[Paid(order=90)])
            with pytest.raises(KeyConflict):
                await Paid(order=3).enqueue_async(session=connection, key="k")
            await connection.commit()
        await connection.close()

    asyncio.run(use())

    assert orders(pg_app) == [1, 2]


def test_a_connection_that_streams_is_refused_in_words(pg_app, pg_database):
    with closing(psycopg.connect(pg_database)) as connection:
        rows = connection.cursor().stream("select generate_series(1, 3)")
        next(rows)
        with pytest.raises(EnqueueRefused, match="streams rows"):
            Paid(order=1).enqueue(session=connection)
        assert [row[0] for row in rows] == [2, 3]
        Paid(order=2).enqueue(session=connection)
        connection.commit()

    assert orders(pg_app) == [2]


def test_a_refused_connection_has_no_transaction_that_we_began(pg_app, pg_server):
    url = pg_server.create_database()
    with closing(psycopg.connect(url)) as connection:
        with pytest.raises(EnqueueRefused, match="another database"):
            Paid().enqueue(session=connection)
        # A block of the application would be a SAVEPOINT otherwise, and nobody would commit.
        assert connection.info.transaction_status == TransactionStatus.IDLE
        connection.execute("create table mine (n int)")
        with pytest.raises(EnqueueRefused, match="another database"):
            Paid().enqueue(session=connection)
        connection.commit()
        assert connection.execute("select count(*) from mine").fetchone() == (0,)
        connection.rollback()
    engine = create_engine(sqlalchemy_url(url, "psycopg"))
    with engine.connect() as core:
        with pytest.raises(EnqueueRefused, match="another database"):
            Paid().enqueue(session=core)
        with core.begin():
            pass
    engine.dispose()
    pg_server.drop_database(url)


def _conflict(url: str) -> None:
    """A concurrent transaction that makes a serializable one fail at its next write."""
    with psycopg.connect(url) as other:
        other.execute("set transaction isolation level serializable")
        other.execute("update stock set n = n - 1")


@pytest.mark.parametrize("key", [None, "k"])
def test_a_serialization_failure_is_the_application_s_to_repeat(pg_app, pg_database, key):
    with psycopg.connect(pg_database) as setup:
        setup.execute("create table stock (n int)")
        setup.execute("insert into stock values (9)")
    connection = psycopg.connect(pg_database)
    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    for attempt in (1, 2):
        try:
            with connection.transaction():
                connection.execute("select n from stock")
                Paid(order=attempt).enqueue(session=connection, key=key)
                if attempt == 1:
                    _conflict(pg_database)
                connection.execute("update stock set n = n - 1")
        except psycopg.errors.SerializationFailure:
            assert attempt == 1
    connection.close()

    assert orders(pg_app) == [2]


def test_a_failure_of_our_own_statement_has_the_driver_s_class(pg_app, pg_database):
    """In REPEATABLE READ a key that another has taken since our snapshot fails the insert."""
    with closing(psycopg.connect(pg_database)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select 1 from job_runs").fetchall()
        Paid(order=1).enqueue(key="k")
        with pytest.raises(psycopg.errors.SerializationFailure):
            Paid(order=2).enqueue(session=connection, key="k")
        connection.rollback()
        with pytest.raises(KeyConflict):
            Paid(order=2).enqueue(session=connection, key="k")
    engine = create_engine(sqlalchemy_url(pg_database, "psycopg"), isolation_level="REPEATABLE READ")
    with Session(engine) as session:
        session.connection().exec_driver_sql("select 1 from job_runs").all()
        Paid(order=3).enqueue(key="m")
        with pytest.raises(Exception, match="could not serialize") as caught:
            Paid(order=4).enqueue(session=session, key="m")
        assert isinstance(caught.value.orig, psycopg.errors.SerializationFailure)
    engine.dispose()

    assert orders(pg_app) == [1, 3]
