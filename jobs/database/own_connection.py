"""A connection that one thread keeps, outside the pool, for direct statements that it repeats. PostgreSQL only.

Its statements are prepared, and the server plans each of them once: planning a claim takes longer than the claim. A
plan that is kept must be right for every ledger, so the planner may only use indexes, whatever its statistics say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from jobs.database.direct_statements import DirectConnection
from jobs.database.driver_errors import ServerWatch
from jobs.database.postgres.connection import LimitedConnection
from jobs.database.postgres.driver import is_stale

_PLAN_ONCE = "select set_config('plan_cache_mode', 'force_generic_plan', false)" + "".join(
    f", set_config('enable_{way}', 'off', false)" for way in ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin")
)


class OwnConnection:
    """Opened at first use, and again after an error or when the server was found unusable. Not thread-safe.

    Args:
        connect: makes the connection, in the same way as for the pool.
        may_prepare: whether statements and settings last as long as the connection; pgbouncer shares its connections.
    """

    def __init__(
        self,
        engine: Engine,
        schema: str | None,
        connect: Callable[[], LimitedConnection],
        *,
        watch: ServerWatch,
        may_prepare: bool,
    ) -> None:
        self._engine, self._schema = engine, schema
        self._connect = connect
        self._watch = watch
        self._may_prepare = may_prepare
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

    def close(self) -> None:
        connection, self._connection, self._direct = self._connection, None, None
        if connection is not None:
            connection.close()

    def _open(self) -> tuple[LimitedConnection, DirectConnection]:
        if self._connection is not None and (self._made_at_move != self._watch.moves or is_stale(self._connection)):
            self.close()
        if self._connection is None or self._direct is None:
            self._made_at_move = self._watch.moves
            self._connection = self._connect()
            # A pooler may give us connections whose autocommit statements are not READ COMMITTED.
            self._connection.autocommit = not self._connection.needs_blocks
            if self._may_prepare:
                self._connection.prepare_threshold = 0
                self._connection.execute(_PLAN_ONCE, prepare=False)
            self._direct = DirectConnection(self._engine, self._schema, self._connection)
        return self._connection, self._direct
