"""Runs our statements in a transaction that the application holds: what ``session=`` takes.

Each kind becomes a ``Joined``: a SQLAlchemy connection that executes in that transaction, and a function that waits for
its commit. The statements are the same for every kind. We commit and roll back nothing but SAVEPOINTs of our own.

Each kind has its module in this folder: ``session_connection`` (SQLAlchemy), ``drivers`` and ``async_drivers``
(psycopg, sqlite3, asyncpg, aiosqlite), ``django_alias``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import InvalidRequestError

from jobs.database.engine import Database
from jobs.database.sqlite.connection import register_sqlite_functions
from jobs.database.transactions import django_alias, drivers
from jobs.database.transactions.commit_hooks import Joined, joined_connection, joined_session
from jobs.database.transactions.refusals import driver_errors, explained, refused
from jobs.database.transactions.session_connection import (
    check_core_connection,
    is_session,
    ledger_connection,
    placed,
    present,
)

if TYPE_CHECKING:
    import aiosqlite
    import asyncpg
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

    SessionLike: TypeAlias = (
        Session | scoped_session[Any] | Connection | psycopg.Connection[Any] | sqlite3.Connection | str
    )
    """What ``session=`` of a plain call takes. The text is the name of a Django connection, such as
    ``django:default``."""
    AsyncSessionLike: TypeAlias = (
        AsyncSession
        | async_scoped_session[Any]
        | AsyncConnection
        | psycopg.AsyncConnection[Any]
        | asyncpg.Connection
        | aiosqlite.Connection
        | str
    )
    """What ``session=`` of an ``_async`` call takes."""


@contextmanager
def joined(given: Any, database: Database) -> Iterator[Joined]:
    """Run our statements in the transaction of ``given``, with our tables in our schema.

    Raises:
        EnqueueRefused: it is nothing that has a transaction, is on another database than the ledger, commits each
            statement by itself, has failed, or cannot write.
        LedgerBusy: the ledger stayed locked.
        ServiceDown: the connection is lost.
        DBAPIError: a serialization failure or a deadlock, by which the application knows that it may repeat the
            transaction. A driver's own connection, and Django, raise it as their own error.
    """
    if database.enqueues_apart:
        with database.write() as own:
            yield Joined(own)
        return
    with _opened(given, database) as transaction, ExitStack() as stack:
        connection = transaction.connection
        stack.enter_context(explained(database))
        if database.dialect == "sqlite":
            dbapi: Any = connection.connection.dbapi_connection
            register_sqlite_functions(dbapi, database.clock)
            stack.enter_context(drivers.plain_text(connection))
        stack.enter_context(placed(connection, database.schema))
        yield transaction


def begin_writing(connection: Connection) -> None:
    """SQLite: begin the caller's transaction before a SAVEPOINT does, because its release would commit it."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _opened(given: Any, database: Database) -> Iterator[Joined]:
    plain = present(given)
    alias = django_alias.alias_of(plain)
    if alias is not None:
        with django_alias.joined_alias(alias, database) as transaction:
            yield transaction
    elif is_session(plain) or isinstance(plain, Connection):
        yield _of_sqlalchemy(plain, database)
    elif drivers.is_driver_connection(plain):
        with driver_errors():
            with explained(database):
                connection = drivers.joined_driver(plain, database)
                begin_writing(connection)
            yield Joined(connection)
    else:
        raise refused(given)


def _of_sqlalchemy(plain: Session | Connection, database: Database) -> Joined:
    try:
        with explained(database):
            if is_session(plain):
                return joined_session(plain, ledger_connection(plain, database))
            check_core_connection(plain, database)
            return joined_connection(plain)
    except InvalidRequestError as error:
        # The transaction failed or has ended, and SQLAlchemy waits for its owner to roll it back.
        raise refused(plain, why=str(error)) from error
