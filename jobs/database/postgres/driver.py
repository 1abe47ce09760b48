"""PostgreSQL details: connections of the pool, NOTIFY, and the meaning of error codes.

Every process imports this, also one whose ledger is a SQLite file, so it does not import psycopg.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import URL, ColumnElement, Connection, Engine, create_engine, event, func, literal_column
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError

from jobs.database.models import read_json
from jobs.database.postgres.readable import is_readable
from jobs.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Executor: TypeAlias = "Session | Connection"
OWN_CONNECTIONS = 5
"""Threads of a worker process that use the ledger besides its jobs: fetcher, settler, upkeep, control; and heartbeat.

The heartbeat has a connection outside the pool.
"""
SPARE_CONNECTIONS = 2
"""Connections that transactions of jobs leave free for short calls. Source: decision."""
UNDEFINED_TABLE, UNDEFINED_FUNCTION = "42P01", "42883"
BUSY = ("40001", "40P01", "55P03")
"""SQLSTATEs of conflicts with other transactions, which do not depend on the server's language."""
TO_REPEAT = ("40001", "40P01")
"""A serialization failure and a deadlock: the same transaction may succeed if it is repeated."""
IN_FAILED_TRANSACTION, READ_ONLY_TRANSACTION, LOCK_NOT_AVAILABLE = "25P02", "25006", "55P03"
_CANCELLED = "57014"
_NO_RIGHTS = "42501"
_OUTAGES = ("08", "53", "57", "58", "25006", "40001", "40P01", "55P03", _NO_RIGHTS, UNDEFINED_TABLE)
"""SQLSTATEs, whole or by class, that do not depend on the data: a later attempt may succeed.

No connection, no resources, shut down, input and output failed, read only, lost to another transaction, locked,
forbidden, no table.
"""
READ_ONLY = "It is read only: a standby, or configured so. Name the primary, or wait."
_HINTS = {
    "57014": "A statement took longer than JOBS_STATEMENT_TIMEOUT or the role's statement_timeout, or was cancelled.",
    "25006": READ_ONLY,
    "25P03": "The process was stopped, or got no processor time, within a transaction. It was undone.",
    "53100": "Its disk is full. The runs are safe.",
    "53300": "It has no connection left: raise max_connections, or lower JOBS_PROCESSES, JOBS_THREADS, JOBS_POOL_SIZE.",
    _NO_RIGHTS: "Grant the role SELECT, INSERT, UPDATE and DELETE on our tables, or migrate with the same role.",
}


def make_engine(url: URL, settings: Settings, *, most: int) -> Engine:
    """The engine of a PostgreSQL ledger, with a pool of its own of ``most`` connections."""
    engine = create_engine(
        url,
        # Bound values hold arguments and results, and errors are logged.
        hide_parameters=True,
        pool_size=settings.pool_size,
        max_overflow=most - settings.pool_size,
        pool_timeout=settings.connect_timeout.total_seconds(),
        # The connection that was used last has prepared statements and warm caches.
        pool_use_lifo=True,
        pool_pre_ping=False,
        json_deserializer=read_json,
    )
    event.listen(engine, "checkout", refuse_stale)
    return_lost_connections(engine)
    return engine


def refuse_stale(connection: Any, record: Any, proxy: Any) -> None:
    """When a connection leaves the pool: replace it, if the server has ended it or sent an unexpected answer.

    So the first use after a restart of the server does not fail, and a doubled reply cannot answer the next statement.

    Raises:
        DisconnectionError: tells the pool to make another.
    """
    if is_stale(connection):
        raise DisconnectionError("A connection has ended while it was not used.")


def is_stale(connection: Any) -> bool:
    """Whether the server has ended this connection, or sent an unexpected answer, while it was not used."""
    if connection.closed:
        return True
    return is_readable(connection.fileno(), 0)


def pool_limit(settings: Settings) -> int:
    """Largest size of the pool of one process: one connection per thread of jobs, plus our own."""
    return max(settings.pool_size + 10, settings.threads + SPARE_CONNECTIONS + OWN_CONNECTIONS) - 1


def most_connections(settings: Settings) -> int:
    """Most connections of one process: its pool, and those of heartbeat, fetcher, settler and enqueueing."""
    return pool_limit(settings) + 4


CHANNEL = "jobs_ready"
"""The channel of ``send_notify``, ``listen`` and ``Listener``."""


def notified() -> ColumnElement[Any]:
    """Wakes the workers that listen, once this transaction has committed; a part of a statement."""
    return func.pg_notify(literal_column(f"'{CHANNEL}'"), literal_column("''"))


def driver_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What to except: psycopg's errors, unless nothing has imported psycopg, and ``others``."""
    psycopg: Any = sys.modules.get("psycopg")
    return others if psycopg is None else (*others, psycopg.Error)


def sqlstate(error: Exception) -> str:
    """The SQLSTATE of a driver's error; empty if there is none."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


def return_lost_connections(engine: Engine) -> None:
    """Let the pool take back a connection that has ended: it is closed, and replaced when it is next used.

    SQLAlchemy resets AUTOCOMMIT when the connection comes back. An error there leaves as the driver's own error, and
    the pool would lose the place for ever.
    """
    reset = engine.dialect.reset_isolation_level

    def safely(dbapi_connection: DBAPIConnection) -> None:
        try:
            reset(dbapi_connection)
        except driver_errors():
            dbapi_connection.close()

    engine.dialect.reset_isolation_level = safely  # type: ignore[method-assign]


def is_outage(error: Exception) -> bool:
    """Whether a driver's error is about the server, and not about the data."""
    psycopg: Any = sys.modules.get("psycopg")
    plain = () if psycopg is None else (psycopg.DatabaseError, psycopg.InternalError)
    if type(getattr(error, "orig", None)) in plain and not sqlstate(error):
        return True  # libpq's own error: the answer was not valid.
    return sqlstate(error).startswith(_OUTAGES)


def is_unusable(error: BaseException | None) -> bool:
    """Whether an error means that the connection's server cannot be used any more.

    The server is read only (after a fail-over with the socket still open), shuts down or has lost the connection.
    """
    state = getattr(error, "sqlstate", None) or "" if isinstance(error, driver_errors()) else ""
    return state in ("25006", "57P01", "57P02", "57P03", "57P05") or state.startswith("08")


def is_interruption(error: BaseException | None) -> bool:
    """Whether a driver's error says that the connection or the server failed, and not the statement."""
    if getattr(error, "connection_invalidated", False):
        return True
    state = sqlstate(error) if isinstance(error, Exception) else ""
    return state.startswith(("08", "53", "57", "58", "25006")) and state != _CANCELLED


def hint(error: Exception, reason: str) -> str | None:
    """What to do about a driver's error, if that is known."""
    if "unsupported startup parameter" in reason:
        return "It is pgbouncer: set JOBS_PGBOUNCER=1."
    if "password authentication failed" in reason or "no password supplied" in reason:
        return "Check user and password in JOBS_DATABASE_URL."
    if "does not exist" in reason and "FATAL:  role" in reason:
        return "Create the role, or name another user in JOBS_DATABASE_URL."
    if "does not exist" in reason and "database" in reason:
        return "Create the database, or name another in JOBS_DATABASE_URL."
    if "pg_hba.conf" in reason:
        return "Allow this user and host in the server's pg_hba.conf."
    if "SSL" in reason:
        return "Check sslmode and what follows it in JOBS_DATABASE_URL against what the server offers."
    if "unable to open database file" in reason:
        return "Its folder must exist, and this user must be able to write to it."
    if sqlstate(error) == _NO_RIGHTS and ("for schema" in reason or "for database" in reason):
        return "Grant the role CREATE there, or migrate with the role that owns it."
    if "too many clients" in reason or "remaining connection slots" in reason:
        return _HINTS["53300"]
    return _HINTS.get(sqlstate(error))
