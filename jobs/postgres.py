"""PostgreSQL's own details: how to connect, how to ring and listen, what its errors mean."""

from __future__ import annotations

import select as select_module
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session

from jobs.postgres_connection import LimitedConnection
from jobs.settings import Settings

Executor = Session | Connection
DriverError = psycopg.Error
OWN_CONNECTIONS = 5
"""Threads of a worker process that use the ledger beside its jobs: intake, settler, upkeep, control; and the
heartbeat, on a connection that is not the pool's."""
UNDEFINED_TABLE = "42P01"
_NO_RIGHTS = "42501"
_OUTAGES = ("08", "53", "57", "58", "25006", "40001", "40P01", "55P03", _NO_RIGHTS, UNDEFINED_TABLE)
"""SQLSTATEs, whole or their class, that say nothing of the data: no connection, no resources, shut down, input and
output failed, read only, lost to another transaction, locked, forbidden, no table. What is tried again may pass."""
_HINTS = {
    "57014": "A statement took longer than JOBS_STATEMENT_TIMEOUT or the role's statement_timeout, or was cancelled.",
    "25006": "It is read only: a standby, or switched so. Name the primary, or wait.",
    "53100": "Its disk is full. The runs are safe.",
    "53300": "It has no connection left: raise max_connections, or lower JOBS_PROCESSES, JOBS_THREADS, JOBS_POOL_SIZE.",
    _NO_RIGHTS: "Grant the role SELECT, INSERT, UPDATE and DELETE on our tables, or migrate with the same role.",
}


def connect_options(settings: Settings) -> dict[str, Any]:
    """What each connection is made with: time limits, and plans that fit the ledger as it is."""
    seconds = settings.connect_timeout.total_seconds()
    options: dict[str, Any] = {
        "connect_timeout": max(1, round(seconds)),
        "application_name": "jobledger",
        # Whatever the environment, the role or a database without an encoding of its own would have it be.
        "client_encoding": "UTF8",
        # A server that vanished without a word is noticed within half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    if settings.pgbouncer:
        # A transaction may be on another server connection than the one before: nothing can be left there.
        return {**options, "prepare_threshold": None}
    limits = {"statement_timeout": settings.statement_timeout, "lock_timeout": settings.lock_timeout}
    said = [f"-c {name}={int(span.total_seconds() * 1000)}" for name, span in limits.items()]
    # And one of us that vanished is noticed by the server, which else keeps its transactions and their locks for hours.
    said += ["-c tcp_keepalives_idle=10", "-c tcp_keepalives_interval=5", "-c tcp_keepalives_count=3"]
    # A plan made for an empty ledger would be kept for a full one; and its hot pages are in memory.
    # Moments then come in UTC, as they are kept here, and need not be turned.
    said += ["-c plan_cache_mode=force_custom_plan", "-c random_page_cost=1.1", "-c timezone=UTC"]
    # To compile a plan takes longer than any of ours, and claims beside a great backlog look dear enough for it.
    said += ["-c jit=off"]
    return {**options, "options": " ".join(said)}


SILENCE_SECONDS = 2.0
"""How long after the time limit of a statement its connection is given up, or a fifth of a short limit: a server that
is there has ended it."""


def connect(settings: Settings, *arguments: Any, **options: Any) -> LimitedConnection:
    """A connection that is given up when the server says nothing for longer than a statement may take."""
    connection = LimitedConnection.connect(*arguments, **options)
    limit = settings.statement_timeout.total_seconds()
    if limit:  # 0 is none, as the server reads it
        connection.silence_seconds = limit + min(SILENCE_SECONDS, limit / 5)
    return connection


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
    return max(settings.pool_size + 10, settings.threads + OWN_CONNECTIONS) - 1


def most_connections(settings: Settings) -> int:
    """What one process may have at once: its pool, its heartbeat's own, and what it listens on, if it does."""
    listens = settings.notify and settings.redis_url is None and not settings.pgbouncer
    return pool_limit(settings) + 1 + int(listens)


CHANNEL = "jobs_ready"
"""What ``ring`` notifies and ``Listener`` listens to, by the same word."""


def ring(connection: Executor) -> None:
    """Wake the workers that listen, once this transaction has committed."""
    connection.execute(select(func.pg_notify(CHANNEL, "")))


class Listener:
    """A connection of its own that hears ``ring``; made when first asked, and again after it broke."""

    def __init__(self, url: URL, settings: Settings) -> None:
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        options = connect_options(settings)
        options.pop("options", None)
        self._plain, self._options, self._settings = plain, options, settings
        self._connection: LimitedConnection | None = None

    def heard(self, seconds: float) -> bool:
        """Wait for a ring at most so long; whether there was one, or the connection is new and may have missed it.

        Raises:
            OSError: the server does not let us listen.
        """
        try:
            if self._connection is None:
                self._connection = connect(self._settings, self._plain, autocommit=True, **self._options)
                self._connection.execute("listen jobs_ready")
                return True
            return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))
        except psycopg.Error as error:
            self.close()
            raise OSError(str(error)) from error

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
