"""Runs our statements in an application's own session, and acts after that session has committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from jobs.database.engine import Database
from jobs.database.ledger_connection import ledger_connection, placed
from jobs.database.sqlite.connection import register_sqlite_functions
from jobs.errors import EnqueueRefused

_PENDING, _OWN = "jobs_pending", "jobs_own"


@contextmanager
def borrowed(session: Session, database: Database) -> Iterator[Connection]:
    """Run our statements in the caller's transaction, on its connection.

    Raises:
        EnqueueRefused: it is on another database than the ledger, commits by itself, or cannot write.
    """
    connection = ledger_connection(session, database)
    if database.dialect == "sqlite":
        register_sqlite_functions(cast(Any, connection.connection.dbapi_connection), database.clock)
    try:
        with placed(connection, database.schema):
            yield connection
    except OperationalError as error:
        if "locked" in str(error.orig):
            raise EnqueueRefused(
                "The session's transaction began with a read, and SQLite does not let it write now.",
                hint="Begin it with BEGIN IMMEDIATE: see docs/sqlite.md, or enqueue before you read.",
            ) from error
        raise database.errors.translate(error) from error
    except ProgrammingError as error:
        if not database.errors.lacks_our_tables(error):
            raise
        raise EnqueueRefused(
            f"The session does not find the ledger's tables: {database.errors.reason(error)}.",
            hint="If they are in a schema outside its search_path, set JOBS_DATABASE_SCHEMA to it;"
            " if there are none, make them: jobledger migrate up.",
        ) from error


def after_commit(session: Session, items: Sequence[Any], tell: Callable[[list[Any]], None]) -> None:
    """Call ``tell`` with ``items``, and with the other items of this transaction, once it has committed.

    A rollback forgets them. The release of a SAVEPOINT does not count as a commit. In a session of ours they wait for
    ``tell_committed``.
    """
    if _OWN in session.info:
        session.info[_OWN].append((items, tell))
        return
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        event.listen(session, "after_commit", lambda done: _on_commit(done, tell))
        event.listen(session, "after_soft_rollback", _on_rollback)
    session.info[_PENDING].extend(items)


def own(session: Session) -> None:
    """Mark a session of ours: its connection commits, not the session itself."""
    session.info[_OWN] = []


def tell_committed(session: Session) -> None:
    """A session of ours has been committed: pass on what it collected. Items of a rolled-back part do no harm."""
    collected, session.info[_OWN] = session.info[_OWN], []
    for items, tell in collected:
        tell(list(items))


def begin_writing(connection: Connection) -> None:
    """SQLite: begin the caller's transaction before a SAVEPOINT does, because its release would commit it."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _on_commit(session: Session, tell: Callable[[list[Any]], None]) -> None:
    # This fires for a released SAVEPOINT too; only the outer commit makes the rows visible.
    if session.in_nested_transaction():
        return
    items, session.info[_PENDING] = session.info[_PENDING], []
    if items:
        tell(items)


def _on_rollback(session: Session, previous: Any) -> None:
    # A SAVEPOINT that is rolled back may leave ids here that are no runs; announcing them does no harm.
    if not previous.nested:
        session.info[_PENDING] = []
