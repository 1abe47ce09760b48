"""Runs our statements over a connection that the application opened with a driver itself: psycopg or sqlite3.

SQLAlchemy executes them on a connection that never ends the transaction. Their cursors are plain ones, whatever row
factory, cursor class or adapters the application has set.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row
from sqlalchemy import URL, Connection, Dialect, Engine
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.pool import NullPool

from jobs.database.engine import Database
from jobs.database.models import read_json, write_moment
from jobs.database.sqlite.connection import READABLE_TEXT
from jobs.database.transactions.refusals import (
    refused,
    refused_active,
    refused_autocommit,
    refused_database,
    refused_failed,
)
from jobs.database.transactions.session_connection import same_file, sqlite_commits
from jobs.errors import EnqueueRefused


class UnendedConnection:
    """A driver's connection in the place of a pooled one: SQLAlchemy executes on it and never ends its transaction."""

    is_valid = True

    def __init__(self, dbapi_connection: Any, driver_connection: Any) -> None:
        self.dbapi_connection = dbapi_connection
        self.driver_connection = driver_connection

    def cursor(self) -> Any:
        raise NotImplementedError

    def commit(self) -> None:
        """The application commits."""

    def rollback(self) -> None:
        """The application rolls back."""

    def close(self) -> None:
        """The application closes it."""

    def invalidate(self, error: BaseException | None = None) -> None:
        """The application sees by itself that the connection is lost."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dbapi_connection, name)


@cache
def engine_of(make_dialect: Any) -> Engine:
    """An engine without connections, for what SQLAlchemy keeps of statements for one driver."""
    dialect: Dialect = make_dialect()
    return Engine(NullPool(_refuse_to_connect), dialect, URL.create(dialect.name), hide_parameters=True)


def is_driver_connection(given: Any) -> bool:
    """Whether ``joined_driver`` takes it."""
    return isinstance(given, psycopg.Connection | sqlite3.Connection | UnendedConnection)


def plain_connection(given: psycopg.Connection[Any] | sqlite3.Connection) -> Connection:
    """A connection that executes on a driver's connection, in whatever transaction it has."""
    if isinstance(given, psycopg.Connection):
        return Connection(engine_of(_psycopg_dialect), _PsycopgConnection(given))  # type: ignore[arg-type]
    return Connection(engine_of(_sqlite_dialect), _SqliteConnection(given))  # type: ignore[arg-type]


def dialect_named(name: str) -> Dialect:
    """The dialect of these connections, ``postgresql`` or ``sqlite``."""
    return engine_of(_psycopg_dialect if name == "postgresql" else _sqlite_dialect).dialect


def joined_driver(given: Any, database: Database) -> Connection:
    """A connection that executes in the transaction of a driver's connection.

    Raises:
        EnqueueRefused: it is closed, commits by itself, has failed, or is on another database than the ledger.
    """
    if isinstance(given, psycopg.Connection):
        check_psycopg(given)
        connection = plain_connection(given)
    elif isinstance(given, sqlite3.Connection):
        check_sqlite(given)
        connection = plain_connection(given)
    else:
        connection = Connection(engine_of(given.make_dialect), given)
        if connection.dialect.name == "sqlite":
            check_sqlite(given.driver_connection)
    was_idle = _is_idle(connection)
    try:
        check_database(connection, database)
    except EnqueueRefused:
        if was_idle:
            raw: Any = connection.connection.dbapi_connection
            raw.rollback()  # Only what the check began.
        raise
    return connection


def _is_idle(connection: Connection) -> bool:
    """Whether it is one of psycopg without a transaction, which our first statement begins."""
    info = getattr(connection.connection.driver_connection, "info", None)
    return info is not None and info.transaction_status == TransactionStatus.IDLE


def check_psycopg(given: Any) -> None:
    """Refuse a connection of psycopg that has no usable transaction.

    Raises:
        EnqueueRefused: it is closed, commits by itself, has failed, or has not ended its last statement.
    """
    status = given.info.transaction_status
    if given.closed or given.broken:
        raise refused(given, why="it is closed")
    if status == TransactionStatus.INERROR:
        raise refused_failed()
    pipelined = in_pipeline(given)
    if status == TransactionStatus.ACTIVE and not pipelined:
        raise refused_active()
    if given.autocommit and status != TransactionStatus.INTRANS:
        # What a pipeline has sent since its last sync may be in a transaction or not.
        hint = "Enqueue inside `with connection.transaction()`, or without session=."
        raise refused_autocommit("connection", f"{hint} Call pipeline.sync() before." if pipelined else hint)


def in_pipeline(connection: Any) -> bool:
    """Whether a connection of psycopg is in pipeline mode, where a statement's result comes later."""
    return bool(connection.pgconn.pipeline_status != PipelineStatus.OFF)


def check_sqlite(given: Any) -> None:
    """Refuse a connection of sqlite3 or aiosqlite that commits by itself.

    Raises:
        EnqueueRefused: it is closed, or commits by itself.
    """
    try:
        commits = sqlite_commits(given)
    except (sqlite3.ProgrammingError, ValueError) as error:
        raise refused(given, why="it is closed") from error
    if commits:
        raise refused_autocommit("connection", "Execute BEGIN IMMEDIATE first, or enqueue without session=.")


def check_database(connection: Connection, database: Database) -> None:
    """Refuse a connection that is not on the ledger's database.

    Raises:
        EnqueueRefused: it is on another one.
    """
    if connection.dialect.name == "sqlite":
        with plain_text(connection):
            rows = connection.exec_driver_sql("PRAGMA database_list").all()
        theirs = next(row[2] for row in rows if row[1] == "main")
        if database.dialect != "sqlite" or not same_file(theirs, database.url.database):
            raise refused_database(theirs or "in memory", database, "connection")
        return
    raw = connection.connection.driver_connection
    known = getattr(raw, "_con", raw)  # A pool of asyncpg lends a new proxy each time.
    if database.dialect == "postgresql" and (known in database.known or database.is_same_server(connection)):
        database.known.add(known)
        return
    name, host, port = connection.exec_driver_sql(
        "select current_database(), inet_server_addr()::text, inet_server_port()"
    ).one()
    raise refused_database(f"{name} on {host}:{port}" if host else name, database, "connection")


@contextmanager
def plain_text(connection: Connection) -> Iterator[None]:
    """Read text of SQLite as text, whatever ``text_factory`` the application has set, which stays."""
    driver: Any = connection.connection.driver_connection
    theirs = driver.text_factory
    driver.text_factory = READABLE_TEXT
    try:
        yield
    finally:
        driver.text_factory = theirs


class PlainCursor(psycopg.Cursor[Any]):
    """A cursor with tuples and psycopg's own types, whatever the connection's are."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection, row_factory=tuple_row)
        self._adapters = AdaptersMap(adapters())

    def execute(self, *args: Any, **kw: Any) -> Any:
        if not in_pipeline(self.connection):
            return super().execute(*args, **kw)
        with self.connection.pipeline():  # Its end waits for the result.
            return super().execute(*args, **kw)

    def executemany(self, *args: Any, **kw: Any) -> None:
        if not in_pipeline(self.connection):
            return super().executemany(*args, **kw)
        with self.connection.pipeline():
            return super().executemany(*args, **kw)


@cache
def adapters() -> AdaptersMap:
    """How values travel between psycopg and our statements."""
    found: AdaptersMap = engine_of(_psycopg_dialect).dialect._psycopg_adapters_map  # type: ignore[attr-defined]
    return found


class _PsycopgConnection(UnendedConnection):
    def __init__(self, given: psycopg.Connection[Any]) -> None:
        super().__init__(given, given)

    def cursor(self) -> Any:
        return PlainCursor(self.driver_connection)


class _SqliteConnection(UnendedConnection):
    def __init__(self, given: sqlite3.Connection) -> None:
        super().__init__(given, given)

    def cursor(self) -> Any:
        cursor = _SqliteCursor(self.driver_connection)
        cursor.row_factory = None
        return cursor


class _SqliteCursor(sqlite3.Cursor):
    """A cursor with moments as we store them, whatever converters the application has registered."""

    def fetchone(self) -> Any:
        row = super().fetchone()
        return None if row is None else plain_row(row)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [plain_row(row) for row in super().fetchmany(self.arraysize if size is None else size)]

    def fetchall(self) -> list[Any]:
        return [plain_row(row) for row in super().fetchall()]


def plain_row(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row of SQLite in which a converter may have turned our moments, which are UTC, into naive datetimes."""
    return tuple(_plain_moment(one) if isinstance(one, datetime) else one for one in row)


def _plain_moment(value: datetime) -> str:
    return write_moment(value if value.tzinfo is not None else value.replace(tzinfo=UTC))


def _psycopg_dialect() -> Dialect:
    kind: Any = psycopg_dialect.dialect
    made: Dialect = kind(dbapi=psycopg, json_deserializer=read_json)
    return made


def _sqlite_dialect() -> Dialect:
    return pysqlite.dialect(dbapi=sqlite3)


def _refuse_to_connect() -> Any:
    raise AssertionError("the connection is the application's")
