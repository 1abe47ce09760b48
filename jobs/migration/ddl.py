"""Changes tables of a PostgreSQL server in use: one process at a time, with short waits for locks.

A statement that waits for a lock on a table blocks every later statement. So each wait is short, and the change is
retried for minutes. A statement itself has no time limit: building an index of a large table takes hours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import psycopg
from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import DDL

from jobs.clock import Clock
from jobs.database.engine import Database
from jobs.database.postgres import driver
from jobs.errors import JobsError, LedgerBusy
from jobs.migration.indexes import blocker, vacuumed_tables

log = logging.getLogger("jobs.schema")

LOCK_LIMIT = timedelta(milliseconds=100)
"""How long a change waits for a lock, and blocks later statements. Source: decision; half of the 200 ms that a
statement of a worker may wait, because the change itself takes time too."""
PAUSE = timedelta(seconds=1)
"""Pause between two attempts, in which blocked statements go on. Source: decision, ten times what they waited."""
VACUUM_LIMIT = timedelta(seconds=5)
"""How long a change waits for a vacuum of its table to end. Source: decision; PostgreSQL cancels an autovacuum for a
lock that waits for ``deadlock_timeout``, 1 s by default."""
GIVE_UP_AFTER = timedelta(minutes=10)
"""How long a change is retried. Source: decision; longer than a backup's pg_dump of a small ledger."""
_KEEP_VACUUM_OUT = "LOCK TABLE %(table)s IN SHARE UPDATE EXCLUSIVE MODE"
_LOCKED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

Change = Callable[[Connection], None]
Say = Callable[[str], None]


@contextmanager
def alone(database: Database, *, say: Say) -> Iterator[Connection]:
    """A connection in AUTOCOMMIT, during which no other process changes these tables.

    Polls instead of waiting in the server, where a waiting statement would delay index builds. Behind pgbouncer it
    takes no lock, because the lock would stay with a connection that others use.

    Raises:
        LedgerBusy: another process has been changing them for the whole of ``GIVE_UP_AFTER``.
    """
    with database.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        _lift_limits(database, connection)
        if database.is_pooled_by_others:
            yield connection
            return
        key = func.hashtextextended(f"jobledger migrations {database.schema or ''}", 0)
        give_up_at = database.clock.monotonic() + GIVE_UP_AFTER.total_seconds()
        is_told = False
        while not connection.scalar(select(func.pg_try_advisory_lock(key))):
            if database.clock.monotonic() > give_up_at:
                raise LedgerBusy(
                    f"Another process has been migrating {database.shown} for {_minutes(GIVE_UP_AFTER)}.",
                    hint="Look at pg_stat_progress_create_index; when it has ended, run jobledger migrate up again.",
                )
            if not is_told:
                say("another process is migrating these tables; waiting for it")
                is_told = True
            database.clock.sleep(min(1.0, PAUSE.total_seconds()))
        try:
            yield connection
        finally:
            if not connection.invalidated and not connection.closed:
                connection.execute(select(func.pg_advisory_unlock(key)))


@contextmanager
def connection_for_changes(database: Database, vacuumed: Sequence[str] = ()) -> Iterator[Connection]:
    """A connection without a transaction; each transaction on it waits briefly for locks, and finds our schema.

    Args:
        vacuumed: tables that a vacuum has locked. Each transaction first gets the lock that stops a vacuum, which no
            statement that reads or writes rows waits for.
    """
    with database.engine.connect() as connection:
        _lift_limits(database, connection)
        connection.commit()
        event.listen(connection, "begin", lambda begun: _limit(begun, database.schema, vacuumed))
        yield connection


def _lift_limits(database: Database, connection: Connection) -> None:
    """Lift time limits of the role or the server, because an index build exceeds them."""
    if database.is_pooled_by_others:
        return
    names = ["statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"]
    lift = text("select set_config(name, '0', false) from pg_settings where name = any(:names)")
    connection.execute(lift, {"names": names})


def _limit(connection: Connection, schema: str | None, vacuumed: Sequence[str]) -> None:
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    limits = {"lock_timeout": _milliseconds(LOCK_LIMIT), "statement_timeout": "0"}
    if schema is not None:
        # An ALTER in a migration names no schema.
        limits["search_path"] = connection.dialect.identifier_preparer.quote_identifier(schema)
    if vacuumed:
        limits["lock_timeout"] = _milliseconds(VACUUM_LIMIT)
    for name, value in limits.items():
        connection.execute(select(func.set_config(name, value, True)))
    if vacuumed:
        for table in vacuumed:
            connection.execute(DDL(_KEEP_VACUUM_OUT, context={"table": table}))  # type: ignore[no-untyped-call]
        connection.execute(select(func.set_config("lock_timeout", _milliseconds(LOCK_LIMIT), True)))


def _milliseconds(span: timedelta) -> str:
    return f"{span.total_seconds() * 1000:g}"


def retry_while_locked(database: Database, beside: Connection, change: Change, *, say: Say) -> None:
    """Call ``change``, which continues where it stopped, until no lock stops it.

    Raises:
        LedgerBusy: for the whole of ``GIVE_UP_AFTER`` others held a lock that it needs.
    """
    clock: Clock = database.clock
    give_up_at = clock.monotonic() + GIVE_UP_AFTER.total_seconds()
    vacuumed: Sequence[str] = ()
    while True:
        try:
            with connection_for_changes(database, vacuumed) as connection:
                change(connection)
            return
        except DBAPIError as error:
            if not isinstance(error.orig, _LOCKED):
                raise
            vacuumed = vacuumed_tables(beside, schema=database.schema)
            who = blocker(beside, schema=database.schema) or "another transaction"
            if clock.monotonic() > give_up_at:
                raise LedgerBusy(
                    f"The ledger at {database.shown} is busy: for {_minutes(GIVE_UP_AFTER)} a table"
                    f" could not be locked within {_milliseconds(LOCK_LIMIT)} ms. {who[0].upper()}{who[1:]}.",
                    hint="End that transaction, or wait for it.",
                ) from error
        if vacuumed:
            who = f"{who}; a vacuum of {', '.join(vacuumed)} will be stopped if it still runs"
        say(f"a table is locked; trying again in {PAUSE.total_seconds():g} s ({who})")
        clock.sleep(PAUSE.total_seconds())


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:g} minutes"


@contextmanager
def explained(database: Database, revision: Callable[[], str | None]) -> Iterator[None]:
    """Raise errors of the database as our own, saying which revision the tables have and what to do."""
    try:
        with database.translated():
            yield
    except JobsError as error:
        cause = error.__cause__
        hint = f"{error.hint.rstrip('.')}. " if error.hint else ""
        if isinstance(cause, DBAPIError) and driver.sqlstate(cause) == "57014":
            hint = "Migrate by a connection to the server itself, as a role without a time limit. "
        try:
            hint += f"The tables are at revision {revision() or 'none'}, and what was done stays. "
        except JobsError:
            hint += "What was done stays. "
        raise type(error)(
            error.message, hint=f"{hint}Run jobledger migrate up again: it goes on from there."
        ) from cause
