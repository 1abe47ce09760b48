"""A connection that one thread keeps, outside the pool, for direct statements that it repeats. PostgreSQL only.

Its statements are prepared, and the server plans each of them once: planning a claim takes longer than the claim. A
plan that is kept must be right for every ledger, so the planner may only use indexes, whatever its statistics say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from jobs.database.direct_statements import DirectConnection
from jobs.database.driver_errors import ServerWatch
from jobs.database.postgres.connection import LimitedConnection
from jobs.database.postgres.driver import is_stale
from jobs.database.postgres.listener import listen
from jobs.database.postgres.prepared_statements import PreparedStatements
from jobs.errors import JobsError

FOR_CLAIMS = ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin")
"""The ways that a plan of a claim must not take: it reads the index of ready runs in its order, and then each run."""
FOR_SETTLING = ("seqscan", "bitmapscan", "nestloop", "mergejoin")
"""The same for settling, which joins a batch with its runs: by nested loops it would compare each with each."""


_SET = "select set_config(name, value, false) from unnest(%s::text[], %s::text[]) as settings(name, value)"


IDLE_SECONDS = 5.0
"""How long the server waits for the next statement of a transaction. A process that is frozen meanwhile would keep the
locks of its claim, and stop all kinds that share a limit with it. Source: decision; others wait as long for a lock."""
_BEGIN, _COMMIT = "begin isolation level read committed", "commit"
MOST_READS = 10
"""The end of a connection follows a message at most: a read or two find it. Source: decision."""


class OwnConnection:
    """Opened at first use, and again after an error or when the server was found unusable. Not thread-safe.

    Args:
        connect: makes the connection, in the same way as for the pool.
        may_prepare: whether statements and settings last as long as the connection; pgbouncer shares its connections.
        without: the planner's ways that no plan may take, as in PostgreSQL's settings ``enable_…``.
        listens: also receive what ``send_notify`` sends. One server process then hears of a run and claims it, and the
            system need not wake a second one.
        translate: gives our error for a driver's error.
    """

    def __init__(
        self,
        engine: Engine,
        schema: str | None,
        connect: Callable[[], LimitedConnection],
        *,
        watch: ServerWatch,
        may_prepare: bool,
        without: Sequence[str],
        listens: bool,
        translate: Callable[[Exception], JobsError],
    ) -> None:
        self._engine, self._schema = engine, schema
        self._connect = connect
        self._watch = watch
        self._may_prepare = may_prepare
        self._settings = {
            "plan_cache_mode": "force_generic_plan",
            "idle_in_transaction_session_timeout": str(int(IDLE_SECONDS * 1000)),
            **{f"enable_{way}": "off" for way in without},
        }
        self.listens = listens
        self._translate = translate
        self._connection: LimitedConnection | None = None
        self._direct: DirectConnection | None = None
        self._made_at_move = 0

    @contextlib.contextmanager
    def opened(self) -> Iterator[DirectConnection]:
        """The connection, for statements that each commit by themselves.

        Raises:
            sqlalchemy.exc.DBAPIError: as SQLAlchemy raises it, so that ``Database.translated`` reads it.
        """
        try:
            connection, direct = self._open()
            yield direct
            if not connection.autocommit:
                connection.commit()
        except psycopg.Error as error:
            is_gone = self._watch.is_lost(error) or self._connection is None or self._connection.closed
            # Also after an error of the statement itself: it is rare, and another connection takes milliseconds.
            self.close()
            raise DBAPIError.instance(
                None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=is_gone,
                dialect=self._engine.dialect,
            ) from error  # fmt: skip
        except BaseException:
            self.close()  # Its statement may still be under way.
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[DirectConnection]:
        """The connection, for several statements in one transaction, in pipeline mode: its begin goes with the first
        statement, and its commit with what was sent and not read (``DirectStatement.send``).

        Other threads of the process compete for the interpreter lock, so each answer that is waited for may cost
        milliseconds, while other processes wait for the locks of the transaction. After an error the connection is
        closed, which undoes the transaction.

        Raises:
            sqlalchemy.exc.DBAPIError: as ``opened``.
        """
        with self.opened() as direct:
            connection = self._connection
            assert connection is not None
            if not (self._may_prepare and connection.autocommit and psycopg.Pipeline.is_supported()):
                with connection.transaction():
                    yield direct
                return
            with connection.pipeline() as pipeline:
                direct.pipeline = pipeline
                try:
                    # The driver's ``transaction()`` would wait for the answers to begin and commit: two round trips.
                    connection.execute(_BEGIN, prepare=False)
                    yield direct
                    connection.execute(_COMMIT, prepare=False)
                finally:
                    direct.pipeline = None

    def wait_for_notify(self, seconds: float) -> bool:
        """Wait for a notification. True if one came in time, or the connection is new and may have missed one.

        Raises:
            ServiceDown: the server does not let us listen.
        """
        try:
            connection, _ = self._open()
            return connection.wait_for_notify(seconds)
        except psycopg.Error as error:
            self.close()
            raise self._translate(error) from error

    def close(self) -> None:
        connection, self._connection, self._direct = self._connection, None, None
        if connection is not None:
            connection.close()

    def _open(self) -> tuple[LimitedConnection, DirectConnection]:
        if self._connection is not None and (self._made_at_move != self._watch.moves or self._is_stale()):
            self.close()
        if self._connection is None or self._direct is None:
            self._made_at_move = self._watch.moves
            self._connection = self._connect()
            # A pooler may give us connections whose autocommit statements are not READ COMMITTED.
            self._connection.autocommit = not self._connection.needs_blocks
            if self._may_prepare:
                self._connection.prepare_threshold = 0
                self._connection.execute(_SET, [list(self._settings), list(self._settings.values())], prepare=False)
            if self.listens:
                listen(self._connection)
                self._connection.is_notified = True
            keeps = self._may_prepare and self._connection.autocommit
            prepared = PreparedStatements(self._connection) if keeps else None
            self._direct = DirectConnection(self._engine, self._schema, self._connection, prepared=prepared)
        return self._connection, self._direct

    def _is_stale(self) -> bool:
        """Whether the server has ended the connection. What waits on it may also be notifications, which are kept."""
        connection = self._connection
        assert connection is not None
        if not self.listens or connection.closed:
            return is_stale(connection)
        for _ in range(MOST_READS):
            if not is_stale(connection):
                break
            try:
                connection.pgconn.consume_input()
            except psycopg.Error:
                return True
        connection.take_notifies()
        return False
