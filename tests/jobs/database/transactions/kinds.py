"""Every kind of ``session=``, each with the same few calls, for tests that try them all.

A test drives a kind by coroutines; the plain kinds never suspend.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import aiosqlite
import asyncpg
import psycopg
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlmodel import Session as SQLModelSession

from jobs import Job
from jobs.client.many import enqueue_many, enqueue_many_async


@dataclass
class Held:
    """A transaction of an application: what goes to ``session=``, and what its owner does with it."""

    session: Any
    commit: Callable[[], Awaitable[None]]
    rollback: Callable[[], Awaitable[None]]
    execute: Callable[[str], Awaitable[Any]]
    is_async: bool = False

    async def enqueue(self, job: Job, **options: Any) -> Any:
        if self.is_async:
            return await job.enqueue_async(session=self.session, **options)
        return job.enqueue(session=self.session, **options)

    async def enqueue_many(self, jobs: list[Job]) -> Any:
        if self.is_async:
            return await enqueue_many_async(jobs, session=self.session)
        return enqueue_many(jobs, session=self.session)


def later(call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def called(*args: Any) -> Any:
        return call(*args)

    return called


def sqlalchemy_url(url: str, driver: str) -> str:
    return url.replace("postgresql:", f"postgresql+{driver}:").replace("sqlite:", f"sqlite+{driver}:")


def begins_itself(engine: Any) -> Any:
    """As docs/sqlite.md asks: SAVEPOINTs of SQLite work in transactions that begin with BEGIN IMMEDIATE only."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda raw, record: setattr(raw, "isolation_level", None))
        event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _orm(session: Any, given: Any = None) -> Held:
    def execute(sql: str) -> Any:
        return session.connection().exec_driver_sql(sql)

    return Held(given or session, later(session.commit), later(session.rollback), later(execute))


@asynccontextmanager
async def _engine(url: str) -> AsyncIterator[Any]:
    engine = begins_itself(create_engine(sqlalchemy_url(url, "psycopg" if "postgres" in url else "pysqlite")))
    try:
        yield engine
    finally:
        engine.dispose()


@asynccontextmanager
async def _async_engine(url: str, driver: str) -> AsyncIterator[Any]:
    engine = create_async_engine(sqlalchemy_url(url, driver))
    begins_itself(engine.sync_engine)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def session(url: str) -> AsyncIterator[Held]:
    async with _engine(url) as engine:
        with Session(engine) as one:
            yield _orm(one)


@asynccontextmanager
async def sqlmodel(url: str) -> AsyncIterator[Held]:
    async with _engine(url) as engine:
        with SQLModelSession(engine) as one:
            yield _orm(one)


@asynccontextmanager
async def scoped(url: str) -> AsyncIterator[Held]:
    async with _engine(url) as engine:
        registry = scoped_session(sessionmaker(engine))
        yield _orm(registry(), registry)
        registry.remove()


@asynccontextmanager
async def flask_sqlalchemy(url: str) -> AsyncIterator[Held]:
    flask = Flask("shop")
    flask.config["SQLALCHEMY_DATABASE_URI"] = sqlalchemy_url(url, "psycopg" if "postgres" in url else "pysqlite")
    db = SQLAlchemy(flask)
    with flask.app_context():
        begins_itself(db.engine)
        yield _orm(db.session)
        db.session.remove()
        db.engine.dispose()


@asynccontextmanager
async def core(url: str) -> AsyncIterator[Held]:
    async with _engine(url) as engine:
        with engine.connect() as one:
            yield Held(one, later(one.commit), later(one.rollback), later(one.exec_driver_sql))


@asynccontextmanager
async def async_session(url: str) -> AsyncIterator[Held]:
    async with (
        _async_engine(url, "asyncpg" if "postgres" in url else "aiosqlite") as engine,
        AsyncSession(engine) as one,
    ):
        yield _async_orm(one)


@asynccontextmanager
async def async_scoped(url: str) -> AsyncIterator[Held]:
    async with _async_engine(url, "psycopg" if "postgres" in url else "aiosqlite") as engine:
        registry = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
        yield _async_orm(registry(), registry)
        await registry.remove()


def _async_orm(one: Any, given: Any = None) -> Held:
    async def execute(sql: str) -> Any:
        return await (await one.connection()).exec_driver_sql(sql)

    return Held(given or one, one.commit, one.rollback, execute, is_async=True)


@asynccontextmanager
async def async_core(url: str) -> AsyncIterator[Held]:
    async with _async_engine(url, "asyncpg" if "postgres" in url else "aiosqlite") as engine, engine.connect() as one:
        yield Held(one, one.commit, one.rollback, one.exec_driver_sql, is_async=True)


@asynccontextmanager
async def psycopg_connection(url: str) -> AsyncIterator[Held]:
    with closing(psycopg.connect(url, row_factory=psycopg.rows.dict_row)) as one:
        yield Held(one, later(one.commit), later(one.rollback), later(one.execute))


@asynccontextmanager
async def psycopg_async(url: str) -> AsyncIterator[Held]:
    one = await psycopg.AsyncConnection.connect(url, row_factory=psycopg.rows.dict_row)
    yield Held(one, one.commit, one.rollback, one.execute, is_async=True)
    await one.close()


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[Held]:
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
    async with pool, pool.acquire() as one:
        held = Held(one, lambda: held_transaction.commit(), lambda: held_transaction.rollback(), one.execute, True)
        held_transaction = _Asyncpg(one)
        await held_transaction.begin()
        yield held


class _Asyncpg:
    """Begins a transaction again after each, as the other drivers do by themselves."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def begin(self) -> None:
        await self._connection.execute("begin")

    async def commit(self) -> None:
        await self._connection.execute("commit")
        await self.begin()

    async def rollback(self) -> None:
        await self._connection.execute("rollback")
        await self.begin()


@asynccontextmanager
async def sqlite3_connection(url: str) -> AsyncIterator[Held]:
    one = sqlite3.connect(url.removeprefix("sqlite:///"))
    one.row_factory = lambda cursor, row: {"row": row}
    try:
        yield Held(one, later(one.commit), later(one.rollback), later(one.execute))
    finally:
        one.close()


@asynccontextmanager
async def aiosqlite_connection(url: str) -> AsyncIterator[Held]:
    async with aiosqlite.connect(url.removeprefix("sqlite:///")) as one:
        one.row_factory = sqlite3.Row
        yield Held(one, one.commit, one.rollback, one.execute, is_async=True)


BOTH = [session, scoped, flask_sqlalchemy, sqlmodel, core, async_session, async_scoped, async_core]
KINDS = {
    "postgresql": [*BOTH, psycopg_connection, psycopg_async, asyncpg_connection],
    "sqlite": [*BOTH, sqlite3_connection, aiosqlite_connection],
}
"""By dialect. Django's are in ``test_django_alias``, because its settings belong to the process."""
