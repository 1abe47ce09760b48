"""Connections of asyncpg with odd but valid settings."""

from __future__ import annotations

import asyncio
import json
import uuid

import asyncpg
import pytest

import jobs
from jobs import KeyConflict, boot
from jobs.errors import EnqueueRefused
from tests.jobs.database.transactions.test_joining import Paid, orders


async def _with_codecs(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    await connection.set_type_codec("uuid", encoder=lambda one: one.hex, decoder=str, schema="pg_catalog")
    await connection.set_type_codec(
        "timestamptz", encoder=lambda one: one.to_text(), decoder=lambda one: ("moment", one), schema="pg_catalog"
    )


async def _plain(connection: asyncpg.Connection) -> None: ...


@pytest.mark.parametrize(
    ("settings", "prepare"), [({"statement_cache_size": 0}, _plain), ({}, _with_codecs)], ids=["pgbouncer", "codecs"]
)
def test_codecs_and_caches_of_the_application_change_nothing_and_stay(pg_app, pg_database, settings, prepare):
    async def use() -> None:
        connection = await asyncpg.connect(pg_database, **settings)
        await prepare(connection)
        async with connection.transaction():
            parent = await Paid(order=1).enqueue_async(session=connection, key="k", on_success=[Paid(order=90)])
            again = await Paid(order=1).enqueue_async(session=connection, key="k")
            assert again.id == parent.id
            assert not again.created
            with pytest.raises(KeyConflict):
                await Paid(order=2).enqueue_async(session=connection, key="k")
            await Paid(order=3).enqueue_async(session=connection, after=[parent])
            await jobs.enqueue_many_async([Paid(order=4), Paid(order=5)], session=connection)
            await Paid(order=6).enqueue_async(session=connection, at=boot.current().clock.now(), tags=["x"])
            await jobs.signal_async(parent.id, "paid", {"by": "ada"}, session=connection)
            if prepare is _with_codecs:
                assert await connection.fetchval("select '{\"a\": 1}'::json") == {"a": 1}
                assert await connection.fetchval("select $1::uuid", uuid.UUID(int=7)) == str(uuid.UUID(int=7))
        async with connection.transaction():
            await jobs.cancel_async(again.id, session=connection)
        await connection.close()
        with boot.current().database.read() as read:
            assert read.exec_driver_sql("select json_typeof(payload) from job_signals").scalars().all() == ["object"]

    asyncio.run(use())

    assert orders(pg_app) == [1, 3, 4, 5, 6]


def test_a_connection_that_its_pool_has_back_or_that_is_in_use_is_refused(pg_app, pg_database):
    async def use() -> None:
        async with asyncpg.create_pool(pg_database, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection, connection.transaction():
                other = asyncio.create_task(connection.execute("select pg_sleep(0.2)"))
                await asyncio.sleep(0)
                with pytest.raises(asyncpg.InterfaceError, match="in progress"):
                    await Paid(order=1).enqueue_async(session=connection)
                await other
                await Paid(order=2).enqueue_async(session=connection)
            with pytest.raises(EnqueueRefused, match="pool"):
                await Paid(order=3).enqueue_async(session=connection)

    asyncio.run(use())

    assert orders(pg_app) == [2]


def test_nested_blocks_of_asyncpg_are_savepoints(pg_app, pg_database):
    async def use() -> None:
        connection = await asyncpg.connect(pg_database)
        async with connection.transaction():
            await Paid(order=1).enqueue_async(session=connection)
            inner = connection.transaction()
            await inner.start()
            await Paid(order=2).enqueue_async(session=connection, key="k")
            await inner.rollback()
            async with connection.transaction():
                await Paid(order=3).enqueue_async(session=connection, key="k")
        async with connection.transaction(readonly=True):
            with pytest.raises(EnqueueRefused, match="read only"):
                await Paid(order=4).enqueue_async(session=connection)
            await connection.execute("rollback; begin")
        await connection.close()

    asyncio.run(use())

    assert orders(pg_app) == [1, 3]
