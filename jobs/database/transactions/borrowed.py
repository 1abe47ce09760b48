"""A ledger over a connection that another library owns, in whatever transaction that library has open.

``joining`` runs one call in the transaction of an application. Here every statement of an App runs there: for Django's
tasks, whose results are read in the block that enqueued them, and for tests inside a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection, Dialect, make_url

from jobs.clock import Clock
from jobs.database import binary_values
from jobs.database.connection_limits import NoPlaces
from jobs.database.database_url import show_database_url
from jobs.database.direct_statements import DirectConnection, Rendered
from jobs.database.driver_errors import DriverErrors, ServerWatch
from jobs.database.engine import Database
from jobs.database.insert_connection import InsertConnection
from jobs.database.postgres.prepared_statements import execute_once
from jobs.database.slow_queries import SLOW, SlowStatements
from jobs.database.sqlite.connection import register_sqlite_functions
from jobs.database.transactions.drivers import dialect_named, plain_connection, plain_row
from jobs.database.transactions.session_connection import placed
from jobs.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


T = TypeVar("T")


class Owner(Protocol):
    """Who owns the connection, and lends it to this thread."""

    def transaction(self) -> AbstractContextManager[Any]:
        """The driver's connection, in a transaction, or in a SAVEPOINT of one that is open; ends it at the exit."""
        ...

    def connection(self) -> AbstractContextManager[Any]:
        """The driver's connection as it is."""
        ...

    def execute(self, text: str, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """The rows of a statement that the owner executes, in the style of its driver's named parameters."""
        ...

    def call(self, work: Callable[[Any], T]) -> T | None:
        """What ``work`` returns for the driver's connection; None, without a call, if the owner watches statements."""
        ...

    def is_new_to(self, clock: Clock) -> bool:
        """Whether this is the first call with ``clock`` since the connection was made, or since another clock."""
        ...


class BorrowedDatabase(Database):
    """The ledger's database over an owner's connection, which we never commit, roll back or close.

    Args:
        url: what the owner's connection is on; may be a database in memory.
        commits: whether a commit ever comes; not in a test whose transaction is rolled back.
    """

    def __init__(self, url: str, settings: Settings, clock: Clock, *, owner: Owner, commits: bool = True) -> None:
        # Not super().__init__, which makes a pool of connections of our own.
        self.url = make_url(url)
        self.shown = show_database_url(self.url)
        self.errors = DriverErrors(shown=self.shown, password=self.url.password)
        self.dialect = self.url.get_backend_name()
        self.schema = settings.database_schema
        self.clock = clock
        self.commits = commits
        self.places = NoPlaces()
        self.inserts = InsertConnection(self)
        self._settings = settings
        self._owner = owner
        self._server = ServerWatch(self.dialect)
        self._slow = SlowStatements(settings.slow_statement, clock)

    @contextmanager
    def write(self, *, urgent: bool = False, alone: bool = False) -> Iterator[Connection]:
        with self.translated(), self._owner.transaction() as driver, self._on(driver) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.translated(), self._owner.connection() as driver, self._on(driver) as connection:
            yield connection

    @contextmanager
    def session(self, *, owner: object | None = None) -> Iterator[Session]:
        from sqlalchemy.orm import Session

        with (
            self._owner.transaction() as driver,
            self._on(driver) as connection,
            placed(connection, None),
            Session(connection, join_transaction_mode="create_savepoint") as session,
        ):
            yield session
            session.commit()

    @contextmanager
    def direct(self, *, urgent: bool = False) -> Iterator[DirectConnection]:
        """Direct statements that the owner executes: they count, and are logged, among its own."""
        with self.translated(), self._owner.connection() as driver:
            self._prepare(driver)
            yield _OwnersConnection(self._owner, dialect_named(self.dialect), self.schema)

    def own_connection(self, *, without: Sequence[str] | None = None, listens: bool = False) -> None:
        """None: every statement runs on the owner's connection."""

    def reserved(self) -> Database:
        return self

    def for_changes(self) -> Database:
        return self

    def refuse_read_only(self) -> None:
        """Its owner decides where it writes."""

    def close(self) -> None:
        """Its owner closes the connection."""

    def forget(self) -> None:
        """Its owner forgets it after a fork."""

    @contextmanager
    def _on(self, driver: Any) -> Iterator[Connection]:
        self._prepare(driver)
        connection = plain_connection(driver).execution_options(**{SLOW: self._slow})
        with placed(connection, self.schema):
            yield connection

    def _prepare(self, driver: Any) -> None:
        if self.dialect == "sqlite" and self._owner.is_new_to(self.clock):
            register_sqlite_functions(driver, self.clock)


class _OwnersConnection(DirectConnection):
    """Direct statements on a connection of an owner."""

    def __init__(self, owner: Owner, dialect: Dialect, schema: str | None) -> None:
        self.dialect = dialect
        self.schema = schema
        self._prepared = self.pipeline = None
        self._owner = owner

    def moment(self, rendered: Rendered, given: Mapping[str, Any]) -> datetime:
        form = rendered.binary
        parameters = form.parameters(given) if form is not None else None
        if form is not None and parameters is not None:
            # Its cursor writes each value into the text, which takes longer than the server takes to execute it.
            found = self._owner.call(lambda driver: execute_once(driver, form.text, parameters))
            if found is not None and (value := found.get_value(0, 0)) is not None:
                return binary_values.read_moment(value)
        return super().moment(rendered, given)

    def run(self, text: str, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        rows = self._owner.execute(text, values)
        return [plain_row(row) for row in rows] if self.dialect.name == "sqlite" else rows
