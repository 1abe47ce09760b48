"""Sets up each SQLite connection: journal mode, SQL functions, and how transactions begin."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from jobs.clock import Clock, new_token
from jobs.database.models import write_moment
from jobs.errors import ConfigurationError
from jobs.settings import Settings

WRITES = "jobs_writes"
"""Execution option of a connection whose transaction will write."""
OVERFLOW = 10
"""Connections of a pool above ``JOBS_POOL_SIZE``. They are open files."""

WAIT_FOR_DISK = "PRAGMA synchronous=FULL"
"""SQLite waits for the disk at each commit, so that a commit outlives a loss of power."""

READABLE_TEXT = partial(str, encoding="utf-8", errors="replace")
"""Reads text that is not UTF-8 all the same, because one such row must not make others unreadable."""


def prepare(connection: sqlite3.Connection, clock: Clock) -> None:
    """Prepare a new connection for our statements.

    Raises:
        ConfigurationError: its file system cannot hold a write-ahead log.
    """
    # The driver must not begin transactions of its own: ``begin`` does that.
    connection.isolation_level = None
    connection.text_factory = READABLE_TEXT
    register_sqlite_functions(connection, clock)
    cursor = connection.cursor()
    mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise ConfigurationError(
            f"SQLite cannot use its write-ahead log here (it answered {mode}).",
            hint="Put the ledger on a local disk, not a network file system.",
        )
    cursor.execute(WAIT_FOR_DISK)
    cursor.close()


def begin(connection: Connection) -> None:
    """Begin a transaction. One that will write takes its lock at once, so that it cannot fail for it later."""
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def register_sqlite_functions(connection: sqlite3.Connection, clock: Clock) -> None:
    """Register the functions that ``jobs.database.sql`` calls, on any connection that runs our statements."""
    connection.create_function("jobs_now", 0, lambda: write_moment(clock.now()))
    connection.create_function("jobs_plus", 2, _plus, deterministic=True)
    connection.create_function("jobs_between", 2, _between, deterministic=True)
    connection.create_function("jobs_token", 0, lambda: new_token().hex)


def _plus(moment: Any, seconds: float | None) -> str | None:
    known = _moment(moment)
    if known is None or seconds is None:
        return None
    return (known + timedelta(seconds=seconds)).isoformat(sep=" ", timespec="microseconds")


def _between(earlier: Any, later: Any) -> float | None:
    """The seconds between two moments; None if one of them cannot be read."""
    begin, end = _moment(earlier), _moment(later)
    return None if begin is None or end is None else (end - begin).total_seconds()


def _moment(stored: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(stored)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is None else None


def make_engine(url: URL, settings: Settings, clock: Clock) -> Engine:
    """The engine of a SQLite ledger, with a pool of its own."""
    engine = create_engine(
        url,
        # Bound values hold arguments and results, and errors are logged.
        hide_parameters=True,
        pool_size=settings.pool_size,
        max_overflow=OVERFLOW,
        connect_args={"timeout": settings.lock_timeout.total_seconds(), "check_same_thread": False},
    )
    event.listen(engine, "connect", lambda connection, record: prepare(connection, clock))
    event.listen(engine, "begin", begin)
    return engine
