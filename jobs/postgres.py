"""PostgreSQL's own details: how to connect, what its errors mean, whether a server and its limits will do."""

from __future__ import annotations

import logging
import select as select_module
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, func, select, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session

from jobs.errors import ConfigurationError
from jobs.postgres_connection import LimitedConnection
from jobs.settings import Settings

log = logging.getLogger("jobs.database")

Executor = Session | Connection
OLDEST = 130000
"""PostgreSQL 13 or newer: gen_random_uuid() is built in from there on."""
OWN_CONNECTIONS = 5
"""Threads of a worker process that use the ledger beside its jobs: intake, settler, upkeep, control; and the
heartbeat, on a connection that is not the pool's."""
UNDEFINED_TABLE = "42P01"
_NO_RIGHTS = "42501"
_OUTAGES = ("08", "53", "57", "58", "25006", "40001", "40P01", "55P03", _NO_RIGHTS, UNDEFINED_TABLE)
"""SQLSTATEs, whole or their class, that say nothing of the data: no connection, no resources, shut down, input and
output failed, read only, lost to another transaction, locked, forbidden, no table. What is tried again may pass."""
_HINTS = {
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
    # A plan made for an empty ledger would be kept for a full one; and its hot pages are in memory.
    said += ["-c plan_cache_mode=force_custom_plan", "-c random_page_cost=1.1"]
    return {**options, "options": " ".join(said)}


SILENCE_SECONDS = 2.0
"""How long after the time limit of a statement its connection is given up, or a fifth of a short limit: a server that
is there has ended it."""


def connect(settings: Settings, *arguments: Any, **options: Any) -> LimitedConnection:
    """A connection that is given up when the server says nothing for longer than a statement may take."""
    connection = LimitedConnection.connect(*arguments, **options)
    limit = settings.statement_timeout.total_seconds()
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


def is_outage(error: Exception) -> bool:
    """Whether a driver's error says something of the server, and nothing of what it was given."""
    return sqlstate(error).startswith(_OUTAGES)


def hint(error: Exception, reason: str) -> str | None:
    """What to do about a driver's error, where that is known."""
    if "unsupported startup parameter" in reason:
        return "It is pgbouncer: set JOBS_PGBOUNCER=1."
    if "password authentication failed" in reason or "no password supplied" in reason:
        return "Check user and password in JOBS_DATABASE_URL."
    if "does not exist" in reason and "database" in reason:
        return "Create the database, or name another in JOBS_DATABASE_URL."
    if "too many clients" in reason or "remaining connection slots" in reason:
        return _HINTS["53300"]
    return _HINTS.get(sqlstate(error))


Server = tuple[datetime, int]


def identity(executor: Executor) -> Server:
    """Which server, and which of its databases, this is: no two servers began at the same microsecond."""
    started, database = executor.execute(
        text(
            "select pg_postmaster_start_time(), (select oid::int8 from pg_database where datname = current_database())"
        )
    ).one()
    return started, database


def check_server(connection: Connection, *, shown: str) -> None:
    """Refuse a server that cannot hold a ledger.

    Raises:
        ConfigurationError: too old, or its encoding cannot hold every text.
    """
    number, version, encoding = connection.execute(
        text(
            "select current_setting('server_version_num')::int, current_setting('server_version'),"
            " pg_encoding_to_char(encoding) from pg_database where datname = current_database()"
        )
    ).one()
    if number < OLDEST:
        raise ConfigurationError(f"PostgreSQL {version} at {shown} is too old.", hint="Use 13 or newer.")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"The database at {shown} is encoded as {encoding}, and a ledger holds any text.",
            hint="Create it with ENCODING 'UTF8'.",
        )


def check_connections(connection: Connection, settings: Settings) -> None:
    """Compare what the worker's processes may open with what the server has; warn, or refuse what cannot work.

    Raises:
        ConfigurationError: not even the processes' own threads would all be served.
    """
    served = connection.execute(
        text(
            "select sum(setting::int * case name when 'max_connections' then 1 else -1 end) from pg_settings"
            " where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
        )
    ).scalar_one()
    least, most = settings.processes * OWN_CONNECTIONS, settings.processes * most_connections(settings)
    if least > served:
        raise ConfigurationError(
            f"{settings.processes} processes need {least} connections or more, and the server has {served}.",
            hint="Lower JOBS_PROCESSES, raise max_connections, or put pgbouncer between (JOBS_PGBOUNCER=1).",
        )
    facts = {"most": most, "served": served}
    if most > served:
        log.warning("The worker may open more connections than the server has.", extra=facts)
    else:
        log.info("Connections that the worker may open, and that the server has.", extra=facts)
