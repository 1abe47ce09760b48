"""PostgreSQL's own details: how to connect, NOTIFY and LISTEN, and what its error codes mean."""

from __future__ import annotations

import select as select_module
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session

from jobs.database.models import read_json
from jobs.database.postgres.connection import LimitedConnection
from jobs.errors import JobsError
from jobs.settings import Settings

Executor = Session | Connection
DriverError = psycopg.Error
OWN_CONNECTIONS = 5
"""Threads of a worker process that use the ledger beside its jobs: intake, settler, upkeep, control; and the
heartbeat, on a connection that is not the pool's."""
SPARE = 2
"""Connections that transactions of jobs leave to what is asked and answered at once. Source: decision."""
UNDEFINED_TABLE = "42P01"
BUSY = ("40001", "40P01", "55P03")
"""SQLSTATEs of what others are in the way of, in whatever language the server says it."""
_CANCELLED = "57014"
_NO_RIGHTS = "42501"
_OUTAGES = ("08", "53", "57", "58", "25006", "40001", "40P01", "55P03", _NO_RIGHTS, UNDEFINED_TABLE)
"""SQLSTATEs, whole or their class, that say nothing of the data: no connection, no resources, shut down, input and
output failed, read only, lost to another transaction, locked, forbidden, no table. What is tried again may pass."""
READ_ONLY = "It is read only: a standby, or switched so. Name the primary, or wait."
_HINTS = {
    "57014": "A statement took longer than JOBS_STATEMENT_TIMEOUT or the role's statement_timeout, or was cancelled.",
    "25006": READ_ONLY,
    "53100": "Its disk is full. The runs are safe.",
    "53300": "It has no connection left: raise max_connections, or lower JOBS_PROCESSES, JOBS_THREADS, JOBS_POOL_SIZE.",
    _NO_RIGHTS: "Grant the role SELECT, INSERT, UPDATE and DELETE on our tables, or migrate with the same role.",
}


def make_engine(url: URL, settings: Settings, *, most: int) -> Engine:
    """The engine of a PostgreSQL ledger, with a pool of its own of ``most`` connections."""
    engine = create_engine(
        url,
        # What is bound holds arguments and results, and errors are logged.
        hide_parameters=True,
        pool_size=settings.pool_size,
        max_overflow=most - settings.pool_size,
        pool_timeout=settings.connect_timeout.total_seconds(),
        # The connection that was used last has its statements prepared and its caches warm.
        pool_use_lifo=True,
        pool_pre_ping=False,
        json_deserializer=read_json,
    )
    event.listen(engine, "checkout", refuse_stale)
    give_back_what_is_gone(engine)
    return engine


def refuse_stale(connection: Any, record: Any, proxy: Any) -> None:
    """As a connection leaves the pool: another is made, if the server has ended this one or said what nobody asked.

    So the first use after a restart of the server does not fail, and a doubled reply cannot answer what comes next.

    Raises:
        DisconnectionError: to the pool, which then makes another.
    """
    waiting = select_module.poll()
    if not connection.closed:
        waiting.register(connection.fileno(), select_module.POLLIN)
    if connection.closed or waiting.poll(0):
        raise DisconnectionError("A connection has ended while it was not used.")


def pool_limit(settings: Settings) -> int:
    """What the pool of one process may hold at once: a thread's job one, and ours beside them."""
    return max(settings.pool_size + 10, settings.threads + SPARE + OWN_CONNECTIONS) - 1


def most_connections(settings: Settings) -> int:
    """What one process may have at once: its pool, its heartbeat's own, and what it listens on, if it does."""
    listens = settings.notify and settings.redis_url is None and not settings.pgbouncer
    return pool_limit(settings) + 1 + int(listens)


CHANNEL = "jobs_ready"
"""What ``send_notify`` notifies and ``Listener`` listens to, by the same word."""


def send_notify(connection: Executor) -> None:
    """Wake the workers that listen, once this transaction has committed."""
    connection.execute(select(func.pg_notify(CHANNEL, "")))


class Listener:
    """A connection of its own that hears ``send_notify``; made when first asked, and again after it broke.

    Args:
        connect: makes the connection, as the pool's are made.
        translate: what a driver's error means to us.
        moves: how often the server was found to serve us no more; the connection is then made anew.
    """

    def __init__(
        self,
        connect: Callable[[], LimitedConnection],
        *,
        translate: Callable[[Exception], JobsError],
        moves: Callable[[], int],
    ) -> None:
        self._connect, self._translate, self._moves = connect, translate, moves
        self._connection: LimitedConnection | None = None
        self._made_at_move = 0

    def heard(self, seconds: float) -> bool:
        """Wait for a ring at most so long; whether there was one, or the connection is new and may have missed it.

        Raises:
            ServiceDown: the server does not let us listen.
        """
        if self._made_at_move != self._moves():
            self.close()
        try:
            if self._connection is None:
                self._made_at_move = self._moves()
                self._connection = self._connect()
                self._connection.autocommit = True
                self._connection.execute("listen jobs_ready")
                return True
            return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))
        except psycopg.Error as error:
            self.close()
            raise self._translate(error) from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def sqlstate(error: Exception) -> str:
    """The SQLSTATE of a driver's error; empty if there is none."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


def give_back_what_is_gone(engine: Engine) -> None:
    """Let a connection be given back that has ended meanwhile: it is closed, and replaced when it is taken again.

    SQLAlchemy takes a block's AUTOCOMMIT off as the connection comes back. What fails there leaves as the driver's
    bare error, and the pool never gets its place back.
    """
    reset = engine.dialect.reset_isolation_level

    def safely(dbapi_connection: DBAPIConnection) -> None:
        try:
            reset(dbapi_connection)
        except DriverError:
            dbapi_connection.close()

    engine.dialect.reset_isolation_level = safely  # type: ignore[method-assign]


def is_outage(error: Exception) -> bool:
    """Whether a driver's error says something of the server, and nothing of what it was given."""
    if type(getattr(error, "orig", None)) in (psycopg.DatabaseError, psycopg.InternalError) and not sqlstate(error):
        return True  # libpq's own: what came was no answer.
    return sqlstate(error).startswith(_OUTAGES)


def is_interruption(error: BaseException | None) -> bool:
    """Whether a driver's error says that the connection or the server failed, and not what it was asked to do."""
    if getattr(error, "connection_invalidated", False):
        return True
    state = sqlstate(error) if isinstance(error, Exception) else ""
    return state.startswith(("08", "53", "57", "58", "25006")) and state != _CANCELLED


def hint(error: Exception, reason: str) -> str | None:
    """What to do about a driver's error, where that is known."""
    if "unsupported startup parameter" in reason:
        return "It is pgbouncer: set JOBS_PGBOUNCER=1."
    if "password authentication failed" in reason or "no password supplied" in reason:
        return "Check user and password in JOBS_DATABASE_URL."
    if "does not exist" in reason and "FATAL:  role" in reason:
        return "Create the role, or name another user in JOBS_DATABASE_URL."
    if "does not exist" in reason and "database" in reason:
        return "Create the database, or name another in JOBS_DATABASE_URL."
    if "pg_hba.conf" in reason:
        return "The server's pg_hba.conf must let this user in from here."
    if "SSL" in reason:
        return "Check sslmode and what follows it in JOBS_DATABASE_URL against what the server offers."
    if "unable to open database file" in reason:
        return "Its folder must be there, and we must be able to write to it."
    if sqlstate(error) == _NO_RIGHTS and ("for schema" in reason or "for database" in reason):
        return "Grant the role CREATE there, or migrate with the role that owns it."
    if "too many clients" in reason or "remaining connection slots" in reason:
        return _HINTS["53300"]
    return _HINTS.get(sqlstate(error))
