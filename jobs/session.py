"""An application's own session: whether our statements may run in it, and what to do once it has committed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from jobs.database import Database
from jobs.database_url import show_database_url
from jobs.errors import EnqueueRefused
from jobs.sqlite_connection import register_sqlite_functions

_PENDING, _OWN = "jobs_pending", "jobs_own"


@contextmanager
def borrowed(session: Session, database: Database) -> Iterator[Session]:
    """Run our statements in the caller's transaction.

    Raises:
        EnqueueRefused: it is on another database than the ledger, or its transaction cannot write.
    """
    _refuse_stranger(session, database)
    if database.dialect == "sqlite":
        register_sqlite_functions(cast(Any, session.connection().connection.dbapi_connection), database.clock)
    try:
        yield session
    except OperationalError as error:
        if "locked" in str(error.orig):
            raise EnqueueRefused(
                "The session's transaction began by reading, and SQLite will not let it write now.",
                hint="Begin it with BEGIN IMMEDIATE: see docs/sqlite.md, or enqueue before you read.",
            ) from error
        raise database.translate(error) from error


def after_commit(session: Session, items: Sequence[Any], tell: Callable[[list[Any]], None]) -> None:
    """Call ``tell`` with ``items``, and with what else this transaction collects, once its commit is done.

    A rollback forgets them. A SAVEPOINT's release does not count as a commit. In a session of ours they wait
    for ``tell_committed``.
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
    """Mark a session of ours, whose commit is not its own but its connection's."""
    session.info[_OWN] = []


def tell_committed(session: Session) -> None:
    """A session of ours has been committed: tell what it collected. A rolled-back part of it does no harm."""
    collected, session.info[_OWN] = session.info[_OWN], []
    for items, tell in collected:
        tell(list(items))


def begin_writing(session: Session) -> None:
    """SQLite: begin the caller's transaction before a SAVEPOINT does, whose release would then commit it."""
    connection = session.connection()
    if connection.dialect.name == "sqlite" and not _driver_connection(session).in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _on_commit(session: Session, tell: Callable[[list[Any]], None]) -> None:
    # This fires for a released SAVEPOINT too; only the outer commit makes rows real.
    if session.in_nested_transaction():
        return
    items, session.info[_PENDING] = session.info[_PENDING], []
    if items:
        tell(items)


def _on_rollback(session: Session, previous: Any) -> None:
    # A SAVEPOINT that is rolled back may leave ids here that are no runs: announcing them does no harm.
    if not previous.nested:
        session.info[_PENDING] = []


def _refuse_stranger(session: Session, database: Database) -> None:
    """A row in another database would be committed there, and no worker would ever see it."""
    if not isinstance(session, Session):
        raise EnqueueRefused(
            f"session= takes a SQLAlchemy Session, got {type(session).__name__}.",
            hint="With an AsyncSession: await job.enqueue_async(session=session).",
        )
    if not _is_ours(session, database):
        theirs = session.get_bind().engine.url
        raise EnqueueRefused(
            f"The session is on another database ({show_database_url(theirs)}) than the ledger ({database.shown}).",
            hint="Point JOBS_DATABASE_URL at the application's own database, or enqueue without session=.",
        )


def _is_ours(session: Session, database: Database) -> bool:
    engine, ours = session.get_bind().engine, database.url
    theirs = engine.url
    if theirs.get_backend_name() != ours.get_backend_name():
        return False
    if database.dialect == "sqlite":
        return _same_file(theirs.database, ours.database)
    if (theirs.host, theirs.port or 5432) == (ours.host, ours.port or 5432) and theirs.database == ours.database:
        return True
    # One server has many names (a socket, an alias, pgbouncer), and a database of one name is on many servers.
    known = database.strangers
    if engine not in known:
        known[engine] = not database.is_same_server(session)
    return not known[engine]


def _same_file(theirs: str | None, ours: str | None) -> bool:
    return bool(theirs and ours) and os.path.realpath(str(theirs)) == os.path.realpath(str(ours))


def _driver_connection(session: Session) -> Any:
    return session.connection().connection.driver_connection
