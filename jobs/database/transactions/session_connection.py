"""Finds the connection to the ledger in a session of SQLAlchemy that an application passes.

Our statements run on that connection with our tables in our schema; the application's own statements do not change.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.util import await_only

from jobs.database.database_url import show_database_url
from jobs.database.models import JobRun
from jobs.database.transactions.refusals import refused_autocommit, refused_database
from jobs.errors import EnqueueRefused

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapper, Session
    from typing_extensions import TypeIs

    from jobs.database.engine import Database

_MAP = "schema_translate_map"


def present(session: Any) -> Any:
    """The session of a registry (``scoped_session`` and its async twin) for this thread or task."""
    registry = getattr(session, "registry", None)
    return registry() if callable(registry) else session


def is_session(given: Any) -> TypeIs[Session]:
    """Whether it is a session of the ORM. If nobody has imported the ORM, nobody has a session."""
    # Another thread may be importing it: then it has no ``Session`` yet.
    return isinstance(given, getattr(sys.modules.get("sqlalchemy.orm"), "Session", ()))


def ledger_connection(session: Session, database: Database) -> Connection:
    """The connection of the session's transaction on the ledger's database.

    Raises:
        EnqueueRefused: none of its engines is on that database, several are, or it commits by itself.
    """
    bind = _bind(session, database)
    connection = _connect(session, bind)
    _refuse_autocommit(connection, "session")
    return connection


def check_core_connection(connection: Connection, database: Database) -> None:
    """Refuse a Core connection that the ledger's statements cannot run on.

    Raises:
        EnqueueRefused: it is on another database than the ledger, or commits by itself.
    """
    was_open = connection.in_transaction()
    try:
        if not _is_ours(connection, lambda: connection, database):
            raise refused_database(show_database_url(connection.engine.url), database, "connection")
        if not connection.in_transaction():
            connection.begin()  # As its first statement would.
        _refuse_autocommit(connection, "connection")
    except EnqueueRefused:
        if not was_open:
            connection.rollback()  # Only what began here.
        raise


@contextmanager
def placed(connection: Connection, schema: str | None) -> Iterator[Connection]:
    """``connection`` while our statements run on it: our tables are in ``schema``, whatever the caller's map says."""
    options = connection.get_execution_options()
    theirs = options.get(_MAP)
    ours = {None: schema} if schema else None
    if theirs == ours:
        yield connection
        return
    connection.execution_options(**{_MAP: ours})
    try:
        yield connection
    finally:
        connection.execution_options(**{_MAP: theirs})


def _bind(session: Session, database: Database) -> Engine | Connection:
    binds = _binds(session)
    if not binds:
        raise EnqueueRefused(
            "The session is bound to no database.", hint="Bind it: Session(engine), or Session(binds={Base: engine})."
        )
    ours = [one for one in binds if _is_ours(one, partial(_connect, session, one), database)]
    if len({one.engine for one in ours}) > 1:
        raise EnqueueRefused(
            "Several engines of the session are on the ledger's database, and their transactions are separate.",
            hint="Use one engine for that database in the session, or enqueue without session=.",
        )
    if not ours:
        theirs = ", ".join(sorted({show_database_url(one.engine.url) for one in binds}))
        raise refused_database(theirs, database, "session")
    return ours[0]


def _connect(session: Session, bind: Engine | Connection) -> Connection:
    return session.connection(bind_arguments={"bind": bind})


def _binds(session: Session) -> list[Engine | Connection]:
    """The engines that the session's statements may run on: first the one for our tables, if it names one."""
    try:
        return [session.get_bind(mapper=_mapper())]
    except UnboundExecutionError:
        pass
    return list(dict.fromkeys(session.binds.values()))


@cache
def _mapper() -> Mapper[Any]:
    """A mapping of our table of runs: sessions that choose an engine for each statement choose it by a mapping."""
    from sqlalchemy.orm import registry

    return registry().map_imperatively(type(JobRun.__name__, (), {}), JobRun.__table__)


def _is_ours(bind: Engine | Connection, connect: Callable[[], Connection], database: Database) -> bool:
    engine, url = bind.engine, bind.engine.url
    if engine is database.engine:
        return True
    if url.get_backend_name() != database.dialect:
        return False
    if database.dialect == "sqlite":
        return same_file(url.database, database.url.database)
    # A server has many names (a socket, an alias, a list, pgbouncer), and one name many databases. Check each once.
    if engine not in database.known:
        if not database.is_same_server(connect()):
            return False
        database.known.add(engine)
    return True


def same_file(theirs: str | None, ours: str | None) -> bool:
    return bool(theirs and ours) and os.path.realpath(str(theirs)) == os.path.realpath(str(ours))


def _refuse_autocommit(connection: Connection, what: str) -> None:
    if _commits_by_itself(connection):
        raise refused_autocommit(what, "Enqueue in one that has transactions, or without session=.")


def _commits_by_itself(connection: Connection) -> bool:
    if connection.dialect.name != "sqlite":
        driver = connection.connection.dbapi_connection
        return driver is not None and connection.dialect.detect_autocommit_setting(driver)
    return sqlite_commits(connection.connection.driver_connection)


def sqlite_commits(driver: Any) -> bool:
    """Whether a connection of sqlite3 or aiosqlite commits each statement at once, now.

    Raises:
        ProgrammingError, ValueError: it is closed.
    """
    # Code that begins a transaction by other means has done so by now.
    if driver.in_transaction:
        return False
    autocommit = _autocommit(driver)
    return autocommit is True or (driver.isolation_level is None and autocommit is not False)


def _autocommit(driver: Any) -> Any:
    """The attribute of sqlite3 from Python 3.12 on; -1 where there is none."""
    raw = getattr(driver, "_conn", driver)
    if raw is driver or not hasattr(sqlite3.Connection, "autocommit"):
        return getattr(raw, "autocommit", -1)
    # aiosqlite does not show it, and sqlite3 lets the connection's own thread alone read it.
    return await_only(driver._execute(getattr, raw, "autocommit", -1))
