"""Says why a transaction of the application cannot be used, and what to do instead."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, OperationalError

from jobs.database.postgres import driver
from jobs.errors import EnqueueRefused

if TYPE_CHECKING:
    from jobs.database.engine import Database

TAKEN = (
    'It also takes a Connection of SQLAlchemy, psycopg or sqlite3, and a Django connection: session="django:default".'
)
_INSTEAD = {
    "sessionmaker": "Call it: session=Session().",
    "async_sessionmaker": "Call it, and await job.enqueue_async(session=session).",
    "Engine": "Give it a connection: with engine.begin() as connection.",
    "AsyncEngine": "Give it a connection: async with engine.begin() as connection.",
    "SQLAlchemy": "Give it db.session.",
    "Cursor": "Give it the connection: session=cursor.connection.",
    "AsyncCursor": "Give it the connection: session=cursor.connection.",
    "ConnectionPool": "Give it a connection: with pool.connection() as connection.",
    "AsyncConnectionPool": "Give it a connection: async with pool.connection() as connection.",
    "Pool": "Give it a connection: async with pool.acquire() as connection.",
}
"""Near misses, by the name of their class."""
_ASYNC = ("AsyncSession", "AsyncConnection", "async_scoped_session", "PoolConnectionProxy")


def refused(given: Any, *, why: str = "") -> EnqueueRefused:
    """The error for a ``session=`` of a plain call that cannot be used; ``why`` is the reason, if its kind is right."""
    if why:
        return EnqueueRefused(
            f"The session cannot be used: {why.splitlines()[0].rstrip('.')}.",
            hint="Roll it back, or enqueue in another.",
        )
    name = type(given).__name__
    by_name = f"With {name}: await job.enqueue_async(session=session)." if _is_async(given) else _INSTEAD.get(name)
    return EnqueueRefused(f"session= takes a SQLAlchemy Session, got {name}.", hint=by_name or TAKEN)


def refused_async(given: Any) -> EnqueueRefused:
    """The error for a ``session=`` of an ``_async`` call that is of no kind that it takes."""
    name = type(given).__name__
    hint = _INSTEAD.get(name) or "With a Session or another synchronous connection: job.enqueue(session=session)."
    return EnqueueRefused(f"session= of an _async call takes a SQLAlchemy AsyncSession, got {name}.", hint=hint)


def _is_async(given: Any) -> bool:
    drivers = ("asyncpg", "aiosqlite")
    return any(one.__name__ in _ASYNC or one.__module__.startswith(drivers) for one in type(given).__mro__)


def refused_autocommit(what: str, hint: str) -> EnqueueRefused:
    """The error for a transaction that there is none of: a rollback would leave the run."""
    return EnqueueRefused(
        f"The {what} is in AUTOCOMMIT: each statement is committed at once, and a rollback would leave the run.",
        hint=hint,
    )


def refused_failed() -> EnqueueRefused:
    """The error for a transaction in which a statement has failed."""
    return EnqueueRefused(
        "The transaction has failed: an earlier statement in it raised an error, and nothing more can be written.",
        hint="Roll it back, or to a SAVEPOINT before the error, then enqueue.",
    )


def refused_active() -> EnqueueRefused:
    """The error for a connection whose last statement has not ended: one that streams its rows, or a COPY."""
    return EnqueueRefused(
        "The connection is still executing a statement: it streams rows, or copies.",
        hint="Read its rows to the end, then enqueue.",
    )


def refused_database(theirs: str, database: Database, what: str) -> EnqueueRefused:
    """The error for a transaction on another database than the ledger."""
    return EnqueueRefused(
        f"The {what} is on another database ({theirs}) than the ledger ({database.shown}).",
        hint="Point JOBS_DATABASE_URL at the application's own database, or enqueue without session=.",
    )


@contextmanager
def explained(database: Database) -> Iterator[None]:
    """Turn the driver's errors in a transaction of the application into ours, where we know what to do.

    Raises:
        EnqueueRefused: the transaction has failed, is read only, began with a read on SQLite, or finds no ledger.
        LedgerBusy, ServiceDown: the ledger stayed locked, or the connection is lost.
    """
    try:
        yield
    except DBAPIError as error:
        if (ours := _explanation(error, database)) is None:
            raise
        raise ours from error
    except UnicodeEncodeError as error:
        raise EnqueueRefused(
            f"The connection's client_encoding is {error.encoding}, which cannot hold what the run has.",
            hint="Set client_encoding to utf8.",
        ) from error


@contextmanager
def driver_errors() -> Iterator[None]:
    """For an application that uses a driver itself: raise what its driver raised, in place of SQLAlchemy's error."""
    try:
        yield
    except DBAPIError as error:
        original: Any = error.orig
        raise getattr(original, "driver_exception", original) from error


def _explanation(error: DBAPIError, database: Database) -> Exception | None:
    state = driver.sqlstate(error)
    if state in driver.TO_REPEAT:
        return None  # Applications know these by their own names, and repeat the transaction.
    if state == driver.IN_FAILED_TRANSACTION:
        return refused_failed()
    code = getattr(error.orig, "sqlite_errorcode", None)
    if state == driver.READ_ONLY_TRANSACTION or (code is not None and code & 0xFF == sqlite3.SQLITE_READONLY):
        return EnqueueRefused(
            "The transaction is read only.", hint="Begin one that may write, or enqueue without session=."
        )
    if database.errors.lacks_our_tables(error):
        return EnqueueRefused(
            f"The session does not find the ledger's tables: {database.errors.reason(error)}.",
            hint="If they are in a schema outside its search_path, set JOBS_DATABASE_SCHEMA to it;"
            " if there are none, make them: jobledger migrate up.",
        )
    if code == sqlite3.SQLITE_BUSY_SNAPSHOT:
        return EnqueueRefused(
            "The session's transaction began with a read, and SQLite does not let it write now.",
            hint="Begin it with BEGIN IMMEDIATE: see docs/sqlite.md, or enqueue before you read.",
        )
    if isinstance(error, OperationalError) or driver.is_outage(error):
        return database.errors.translate(error)
    return None
