"""The database connection: engine, pool, transactions and their time limits, for each dialect.

SQLite: WAL, ``synchronous=FULL``, every writing transaction ``BEGIN IMMEDIATE``, writers of one host in a
queue (``sqlite/write_queue.py``). PostgreSQL: a pool, time limits on statements and locks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from sqlalchemy import Connection, select

from jobs.clock import Clock, SystemClock
from jobs.database.connection_limits import NoPlaces, Places
from jobs.database.connector import Connector
from jobs.database.database_url import parse_database_url, show_database_url
from jobs.database.direct_statements import DirectConnection, DirectStatement, Runner, direct
from jobs.database.driver_errors import DriverErrors, ServerWatch
from jobs.database.history_reads import HistoryReads
from jobs.database.insert_connection import InsertConnection
from jobs.database.postgres import driver, server
from jobs.database.sqlite.connection import WRITES
from jobs.database.sqlite.write_queue import WriteQueue
from jobs.errors import ServiceDown
from jobs.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jobs.database.own_connection import OwnConnection
    from jobs.database.postgres.listener import Listener

log = logging.getLogger("jobs.database")

_NOTIFY = DirectStatement(lambda dialect: select(driver.notified()))


class Database:
    """One database, and the connections of this process to it. Opens nothing until it is used."""

    def __init__(
        self, url: str, settings: Settings, clock: Clock | None = None, *, most_connections: int | None = None
    ) -> None:
        self.url = parse_database_url(url)
        self.shown = show_database_url(self.url)  # without its credentials
        self.errors = DriverErrors(shown=self.shown, password=self.url.password)
        self.dialect = self.url.get_backend_name()
        self.schema = settings.database_schema
        self._settings = settings
        self.clock = clock or SystemClock()
        self._server = ServerWatch(self.dialect)
        most = most_connections or driver.pool_limit(settings)
        self._connector = Connector(self.url, settings, self.clock, self._server, most=most)
        self.engine = self._connector.engine
        self.enqueues_apart = False
        """Whether runs that are enqueued in a transaction of the application go to this database all the same: in a
        shadow run, whose transactions are rolled back."""
        self.known: WeakSet[Any] = WeakSet()
        """Engines and connections of applications that are on this database; each is checked once."""
        self._identity: server.Server | None = None
        self._apart: dict[timedelta, Database] = {}
        self.history = HistoryReads(self.clock, self.schema, self.dialect)
        self.places = Places(self.dialect, settings, most, self.clock)
        self.inserts = InsertConnection(self)
        self._queue = WriteQueue(Path(str(self.url.database))) if self.dialect == "sqlite" else None

    @contextmanager
    def write(self, *, urgent: bool = False, alone: bool = False) -> Iterator[Connection]:
        """A transaction that may write; commits at the end, rolls back on an error.

        Args:
            urgent: on SQLite, go before the batches (lease renewals, single enqueues).
            alone: the block writes by one statement, which on PostgreSQL commits by itself: one round trip, not three.

        Raises:
            ServiceDown: the database does not answer, or refuses us.
            LedgerBusy: another writer held it for longer than the time limit.
        """
        with self.translated(), self._turn(urgent), self.places.one(self.shown), self.engine.connect() as plain:
            commits_itself = alone and self._statements_stand_alone
            options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if commits_itself else {}
            connection = plain.execution_options(**{WRITES: True}, **options)
            with connection.begin():
                yield connection

    @contextmanager
    def direct(self, *, urgent: bool = False) -> Iterator[DirectConnection]:
        """A connection for direct statements, each of which commits by itself.

        Raises:
            ServiceDown: the database does not answer, or refuses us.
            LedgerBusy: another writer held it for longer than the time limit.
        """
        with self.translated(), self._turn(urgent), self.places.one(self.shown):
            needs_block = lambda: not self._statements_stand_alone  # noqa: E731
            with direct(self.engine, self.schema, needs_block=needs_block, is_unusable=self._server.is_lost) as one:
                yield one

    def own_connection(self, *, without: Sequence[str] | None = None, listens: bool = False) -> OwnConnection | None:
        """A connection outside the pool, for a thread that repeats a few direct statements; None on SQLite.

        Use it within ``translated()``.

        Args:
            without: the planner's ways that its plans may not take; None: those that a claim may not take.
            listens: also receive what ``send_notify`` sends, if this database sends it.
        """
        if self.dialect == "sqlite":
            return None
        from jobs.database.own_connection import FOR_CLAIMS, OwnConnection

        return OwnConnection(
            self.engine, self.schema, self._connector.connect, watch=self._server, translate=self.errors.translate,
            may_prepare=not self._settings.pgbouncer, without=FOR_CLAIMS if without is None else without,
            listens=listens and self.sends_notify,
        )  # fmt: skip

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A block that only reads. On PostgreSQL each statement runs in autocommit.

        At READ COMMITTED it sees what was committed when it began anyway; BEGIN and COMMIT are two more round trips.
        """
        with self.translated(), self.places.one(self.shown), self.engine.connect() as connection:
            if self._statements_stand_alone:
                connection.execution_options(isolation_level="AUTOCOMMIT")
            with connection.begin():
                self.history.see_both(connection)
                yield connection

    def read_both(self) -> AbstractContextManager[Connection]:
        """A block that reads the hot tables and then history, and in which no run moves between them."""
        return self.snapshot() if self.history.is_there else self.read()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A block that only reads, in which every statement sees the same rows. It delays vacuum on PostgreSQL."""
        with self.translated(), self.places.one(self.shown), self.engine.connect() as connection:
            if self.dialect == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                self.history.see_both(connection)
                yield connection

    @contextmanager
    def session(self, *, owner: object | None = None) -> Iterator[Session]:
        """A Session in a writing transaction, for an application's own writes; commits at the end.

        Args:
            owner: who holds the transaction, if it ends on another thread than it began on.
        """
        # The ORM is imported only for this: most processes never need it.
        from sqlalchemy.orm import Session

        with ExitStack() as stack:
            with self.translated():
                stack.enter_context(self._turn(False, owner))
                stack.enter_context(self.places.one(self.shown))
                plain = stack.enter_context(self.engine.connect())
                # Our tables may be in another schema than the application's.
                connection = plain.execution_options(**{WRITES: True, "schema_translate_map": None})
                stack.enter_context(connection.begin())
            # Not translated: errors of the application's own statements are for its own retry policy to match.
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                yield session
                # This releases the session's SAVEPOINT; the connection's own commit follows.
                session.commit()

    def reserved(self) -> Database:
        """This database for a worker's own threads, which from now on have reserved connections of the pool.

        All other users (the jobs) share the rest, and wait without limit when it is in use.
        """
        self.places.reserve()
        return _Reserved(self)

    def send_notify(self, runner: Runner) -> None:
        """Wake idle workers once this transaction has committed, if there is no ready index to do it."""
        if self.sends_notify:
            _NOTIFY.rows(runner, {})

    def listener(self) -> Listener | None:
        """Receives what ``send_notify`` sends; None if the database sends nothing."""
        if not self.sends_notify:
            return None
        from jobs.database.postgres.listener import Listener

        return Listener(self._connector.connect, translate=self.errors.translate, moves=lambda: self._server.moves)

    def refuse_read_only(self) -> None:
        """Check that the server accepts writes; drop connections to one that does not, as another may accept them now.

        Raises:
            ServiceDown: it is read only.
        """
        if self.dialect == "sqlite":
            return
        with self.read() as connection:
            is_read_only = server.is_read_only(connection)
        if is_read_only:
            self._server.moves += 1
            self.engine.dispose()
            raise ServiceDown(f"The ledger at {self.shown} cannot be used.", hint=driver.READ_ONLY)

    def is_same_server(self, theirs: Connection) -> bool:
        """Whether a connection is on the database that holds the ledger, whatever its URL calls it."""
        found = server.identity(theirs)
        if found != self._identity:
            # Our server may have restarted since the last check.
            with self.read() as connection:
                self._identity = server.identity(connection)
        return found == self._identity

    def ledger_identity(self) -> str:
        """A short id that only this ledger, and its standbys, have among all databases of all servers.

        Raises:
            ServiceDown: the database does not answer.
        """
        with self.read() as connection:
            return server.ledger_identity(connection, schema=self.schema)

    @property
    def _statements_stand_alone(self) -> bool:
        """Whether a statement needs no transaction around it. Call it once a connection exists, which may know."""
        return self.dialect == "postgresql" and not self._connector.needs_blocks

    @property
    def sends_notify(self) -> bool:
        """Whether a commit notifies workers that listen."""
        can = self.dialect == "postgresql" and not self._settings.pgbouncer
        return can and self._settings.notify and self._settings.redis_url is None

    def apart(self, *, limit: timedelta) -> Database:
        """The same database over one private connection, whose statements take at most ``limit``.

        Jobs may use the whole pool for long. A SQLite ledger returns itself, because its writers form one queue.
        Returns the same object for the same limit.
        """
        if self.dialect == "sqlite":
            return self
        if limit not in self._apart:
            names = ("statement_timeout", "connect_timeout")
            self._apart[limit] = self._copy(1, **{name: min(limit, getattr(self._settings, name)) for name in names})
        return self._apart[limit]

    def for_changes(self) -> Database:
        """The same database for changes of its tables: three connections, and no time limit for statements."""
        no_limit = timedelta(0)
        return self._copy(3, statement_timeout=no_limit, lock_timeout=no_limit, slow_statement=timedelta(days=1))

    def _copy(self, most: int, **settings: timedelta) -> Database:
        changed = self._settings.model_copy(update={**settings, "pool_size": most})
        return Database(self.url.render_as_string(hide_password=False), changed, self.clock, most_connections=most)

    @property
    def is_pooled_by_others(self) -> bool:
        """Whether pgbouncer gives each transaction a connection that other clients use too."""
        return self._settings.pgbouncer

    def close(self) -> None:
        self.inserts.close()
        self.engine.dispose()
        if self._queue is not None:
            self._queue.close()

    def forget(self) -> None:
        """After a fork: drop the connections without closing the parent's."""
        self.inserts.forget()
        self.engine.dispose(close=False)

    def translated(self) -> AbstractContextManager[None]:
        """Raise driver errors as our own."""
        return self.errors.translated()

    def _turn(self, urgent: bool, owner: object | None = None) -> Any:
        if self._queue is None:
            return nullcontext()
        if not self._queue.is_open:
            self._connector.make_private_file()  # Before the lock files, which take its owner and its mode.
        return self._queue.turn(urgent=urgent, limit_seconds=self._settings.lock_timeout.total_seconds(), owner=owner)


class _Reserved(Database):
    """Shares everything with another database, but asks for no place among the users of its pool."""

    def __init__(self, origin: Database) -> None:
        self._origin = origin
        self.places = NoPlaces(is_sqlite=self.dialect == "sqlite")
        # A worker's own threads read live runs, which are in the hot tables only.
        self.history = HistoryReads(origin.clock, None, "")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._origin, name)
