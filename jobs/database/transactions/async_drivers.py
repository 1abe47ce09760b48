"""Runs our statements over a connection of psycopg, asyncpg or aiosqlite that a coroutine has opened.

SQLAlchemy's adapters of these drivers make of each a connection for plain code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.rows import tuple_row
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.dialects.sqlite import aiosqlite as aiosqlite_dialect

from jobs.database.models import read_json
from jobs.database.transactions.asyncpg_values import ValuesCursor, make_dialect
from jobs.database.transactions.drivers import (
    UnendedConnection,
    adapters,
    check_psycopg,
    engine_of,
    in_pipeline,
)
from jobs.database.transactions.refusals import refused, refused_autocommit


class AwaitedConnection(UnendedConnection):
    """An adapted connection, and what makes its dialect."""

    def __init__(self, dbapi_connection: Any, given: Any, make_dialect: Callable[[], Dialect], cursor: Any) -> None:
        super().__init__(dbapi_connection, given)
        self.make_dialect = make_dialect
        self._cursor = cursor

    def cursor(self) -> Any:
        return self._cursor(self.dbapi_connection)


def adapted(given: Any) -> AwaitedConnection | None:
    """``given`` for plain code that runs in ``greenlet_spawn``; None if it is no connection of these drivers.

    Raises:
        EnqueueRefused: it is closed, commits by itself, or has failed.
    """
    if isinstance(given, psycopg.AsyncConnection):
        check_psycopg(given)
        return _adapt(given, _psycopg, psycopg_dialect.AsyncAdapt_psycopg_connection, _PsycopgCursor)
    if _is_of("asyncpg", given):
        if _is_gone(given):
            raise refused(given, why="it is closed, or was given back to its pool")
        if not given.is_in_transaction():
            raise refused_autocommit(
                "connection", "Enqueue inside `async with connection.transaction()`, or without session=."
            )
        return _adapt_asyncpg(given)
    if _is_of("aiosqlite", given):
        return _adapt(given, _aiosqlite, aiosqlite_dialect.AsyncAdapt_aiosqlite_connection, _AiosqliteCursor)
    return None


def _is_of(driver: str, given: Any) -> bool:
    module = sys.modules.get(driver)
    return module is not None and isinstance(given, module.Connection)


def _is_gone(given: Any) -> bool:
    try:
        return bool(given.is_closed())
    except sys.modules["asyncpg"].InterfaceError:
        return True  # Its pool has lent it to others.


def _adapt_asyncpg(given: Any) -> AwaitedConnection:
    adapter: Any = asyncpg_dialect.AsyncAdapt_asyncpg_connection
    connection = adapter(
        engine_of(make_dialect).dialect.loaded_dbapi,
        given,
        prepared_statement_cache_size=0,
        # Unnamed, so that nothing stays on the server.
        prepared_statement_name_func=str,
    )
    # The transaction is the application's: the adapter begins none of its own.
    connection.isolation_level = "autocommit"
    return AwaitedConnection(connection, given, make_dialect, ValuesCursor)


def _adapt(given: Any, make_dialect: Callable[[], Dialect], kind: Any, cursor: Any) -> AwaitedConnection:
    return AwaitedConnection(kind(engine_of(make_dialect).dialect.loaded_dbapi, given), given, make_dialect, cursor)


class _PlainAsyncCursor(psycopg.AsyncCursor[Any]):
    """``PlainCursor`` for coroutines."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        super().__init__(connection, row_factory=tuple_row)
        self._adapters = AdaptersMap(adapters())

    async def execute(self, *args: Any, **kw: Any) -> Any:
        if not in_pipeline(self.connection):
            return await super().execute(*args, **kw)
        async with self.connection.pipeline():  # Its end waits for the result.
            return await super().execute(*args, **kw)

    async def executemany(self, *args: Any, **kw: Any) -> None:
        if not in_pipeline(self.connection):
            return await super().executemany(*args, **kw)
        async with self.connection.pipeline():
            return await super().executemany(*args, **kw)


class _PsycopgCursor(psycopg_dialect.AsyncAdapt_psycopg_cursor):
    def _make_new_cursor(self, connection: Any) -> Any:
        return _PlainAsyncCursor(connection)


class _AiosqliteCursor(aiosqlite_dialect.AsyncAdapt_aiosqlite_cursor):
    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._cursor.row_factory = None  # type: ignore[attr-defined]


def _psycopg() -> Dialect:
    kind: Any = psycopg_dialect.dialect_async
    made: Dialect = kind(dbapi=kind.import_dbapi(), json_deserializer=read_json)
    return made


def _aiosqlite() -> Dialect:
    kind: Any = aiosqlite_dialect.dialect
    made: Dialect = kind(dbapi=kind.import_dbapi())
    return made
