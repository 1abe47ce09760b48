"""What a connection to SQLite is given: its journal, the functions that our statements call, and who begins."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from sqlalchemy import URL, Connection, Engine, create_engine, event

from jobs.clock import Clock, new_token
from jobs.errors import ConfigurationError
from jobs.models import write_moment
from jobs.settings import Settings

WRITES = "jobs_writes"
"""Execution option of a connection whose transaction will write."""
OVERFLOW = 10
"""Connections of a pool above ``JOBS_POOL_SIZE``. They are open files."""


def prepare(connection: sqlite3.Connection, clock: Clock) -> None:
    """Make a new connection ready for our statements.

    Raises:
        ConfigurationError: its file system cannot hold a write-ahead log.
    """
    # The driver must not begin transactions of its own: ``begin`` does.
    connection.isolation_level = None
    register_sqlite_functions(connection, clock)
    cursor = connection.cursor()
    mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise ConfigurationError(
            f"SQLite cannot use its write-ahead log here (it answered {mode}).",
            hint="Put the ledger on a local disk, not a network file system.",
        )
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def begin(connection: Connection) -> None:
    """Begin a transaction: one that will write takes its lock at once, and cannot fail for it later."""
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def register_sqlite_functions(connection: sqlite3.Connection, clock: Clock) -> None:
    """The functions that ``jobs.sql`` calls; needed on any connection that our statements run on."""
    connection.create_function("jobs_now", 0, lambda: write_moment(clock.now()))
    connection.create_function("jobs_plus", 2, _plus, deterministic=True)
    connection.create_function("jobs_between", 2, _between, deterministic=True)
    connection.create_function("jobs_token", 0, lambda: new_token().hex)


def _plus(moment: str | None, seconds: float | None) -> str | None:
    if moment is None or seconds is None:
        return None
    later = datetime.fromisoformat(moment) + timedelta(seconds=seconds)
    return later.isoformat(sep=" ", timespec="microseconds")


def _between(earlier: str | None, later: str | None) -> float | None:
    if earlier is None or later is None:
        return None
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def make_engine(url: URL, settings: Settings, clock: Clock) -> Engine:
    """The engine of a SQLite ledger, with a pool of its own."""
    engine = create_engine(
        url,
        # What is bound holds arguments and results, and errors are logged.
        hide_parameters=True,
        pool_size=settings.pool_size,
        max_overflow=OVERFLOW,
        connect_args={"timeout": settings.lock_timeout.total_seconds(), "check_same_thread": False},
    )
    event.listen(engine, "connect", lambda connection, record: prepare(connection, clock))
    event.listen(engine, "begin", begin)
    return engine
