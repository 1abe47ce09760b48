"""Connections of sqlite3 and aiosqlite with odd but valid settings."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing

import aiosqlite
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jobs import KeyConflict
from jobs.errors import EnqueueRefused, LedgerBusy
from tests.jobs.database.transactions.test_joining import Paid, orders


def file_of(url: str) -> str:
    return url.removeprefix("sqlite:///")


def as_dict(cursor, row):
    return {name[0]: value for name, value in zip(cursor.description, row, strict=True)}


@pytest.mark.parametrize("isolation_level", ["DEFERRED", "IMMEDIATE", "EXCLUSIVE", ""])
@pytest.mark.parametrize("settings", [{"text_factory": bytes}, {"row_factory": as_dict}, {"row_factory": sqlite3.Row}])
def test_settings_of_the_connection_change_nothing_and_stay(sqlite_app, sqlite_url, isolation_level, settings):
    with closing(sqlite3.connect(file_of(sqlite_url), isolation_level=isolation_level)) as connection:
        for name, value in settings.items():
            setattr(connection, name, value)
        Paid(order=1).enqueue(session=connection)
        first = Paid(order=2).enqueue(session=connection, key="k", on_success=[Paid(order=90)])
        assert Paid(order=2).enqueue(session=connection, key="k").id == first.id
        with pytest.raises(KeyConflict):
            Paid(order=3).enqueue(session=connection, key="k")
        connection.commit()
        Paid(order=4).enqueue(session=connection, key="m")
        connection.rollback()
        assert {name: getattr(connection, name) for name in settings} == settings
        assert connection.isolation_level == isolation_level

    assert orders(sqlite_app) == [1, 2]


def test_aiosqlite_reads_our_text_whatever_its_text_factory_is(sqlite_app, sqlite_url):
    async def use() -> None:
        async with aiosqlite.connect(file_of(sqlite_url)) as connection:
            connection.text_factory = bytes
            await Paid(order=1).enqueue_async(session=connection, key="k")
            assert not (await Paid(order=1).enqueue_async(session=connection, key="k")).created
            await connection.commit()
            assert connection.text_factory is bytes

    asyncio.run(use())

    assert orders(sqlite_app) == [1]


def test_a_connection_that_only_reads_is_refused(sqlite_app, sqlite_url):
    with closing(sqlite3.connect(f"file:{file_of(sqlite_url)}?mode=ro", uri=True)) as connection:
        for key in (None, "k"):
            with pytest.raises(EnqueueRefused, match="read only"):
                Paid(order=1).enqueue(session=connection, key=key)
    engine = create_engine(sqlite_url)
    with Session(engine) as session:
        session.connection().exec_driver_sql("pragma query_only = on")
        with pytest.raises(EnqueueRefused, match="read only"):
            Paid(order=1).enqueue(session=session)
        session.connection().exec_driver_sql("pragma query_only = off")
    engine.dispose()

    assert orders(sqlite_app) == []


def test_a_writer_that_keeps_its_lock_is_named(sqlite_app, sqlite_url):
    with (
        closing(sqlite3.connect(file_of(sqlite_url))) as writer,
        closing(sqlite3.connect(file_of(sqlite_url), timeout=0.05)) as connection,
    ):
        writer.execute("begin immediate")
        with pytest.raises(LedgerBusy):
            Paid(order=1).enqueue(session=connection)
        writer.rollback()
        Paid(order=2).enqueue(session=connection)
        connection.commit()

    assert orders(sqlite_app) == [2]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has autocommit= from Python 3.12 on")
def test_autocommit_of_python_3_12(sqlite_app, sqlite_url):
    with closing(sqlite3.connect(file_of(sqlite_url), autocommit=False)) as connection:
        Paid(order=1).enqueue(session=connection, key="k")
        connection.rollback()
        Paid(order=2).enqueue(session=connection, key="k")
        connection.commit()
        assert connection.autocommit is False
    with closing(sqlite3.connect(file_of(sqlite_url), autocommit=True)) as connection:
        for key in (None, "m"):
            with pytest.raises(EnqueueRefused, match="in AUTOCOMMIT"):
                Paid(order=3).enqueue(session=connection, key=key)
        connection.execute("begin")
        Paid(order=4).enqueue(session=connection, key="m")
        connection.execute("commit")
    engine = create_engine(sqlite_url, connect_args={"autocommit": True})
    with Session(engine) as session, pytest.raises(EnqueueRefused, match="in AUTOCOMMIT"):
        Paid(order=5).enqueue(session=session)
    engine.dispose()

    async def use() -> None:
        async with aiosqlite.connect(file_of(sqlite_url), autocommit=True) as connection:
            with pytest.raises(EnqueueRefused, match="in AUTOCOMMIT"):
                await Paid(order=6).enqueue_async(session=connection)

    asyncio.run(use())

    assert orders(sqlite_app) == [2, 4]
