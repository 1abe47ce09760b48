"""Makes the engine of a database, and connections outside its pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import ExceptionContext

from jobs.clock import Clock
from jobs.database.driver_errors import ServerWatch
from jobs.database.postgres import driver
from jobs.database.slow_queries import SlowStatements
from jobs.database.sqlite import connection
from jobs.database.sqlite.file import make_private
from jobs.settings import Settings

if TYPE_CHECKING:
    from jobs.database.postgres.connection import LimitedConnection


class Connector:
    """Connects to one database, as the settings say.

    Args:
        most: connections in the pool.
    """

    def __init__(self, url: URL, settings: Settings, clock: Clock, server: ServerWatch, *, most: int) -> None:
        self._url = url
        self._settings = settings
        self._clock = clock
        self._server = server
        self._most = most
        self.needs_blocks = False
        """Whether a pooler gives us connections whose autocommit statements are not READ COMMITTED."""
        self.engine = self._make_engine()

    def connect(self) -> LimitedConnection:
        """A connection to PostgreSQL outside the pool, made in the same way."""
        from jobs.database.postgres.connect import connect

        arguments, options = self.engine.dialect.create_connect_args(self._url)
        return connect(self._settings, *arguments, **options)

    def make_private_file(self, *_: Any) -> None:
        """Create the file of a SQLite database, if it is missing, so that only its owner can read it."""
        assert self._url.database
        make_private(self._url.database, for_group=self._settings.sqlite_group)

    def _make_engine(self) -> Engine:
        settings = self._settings
        if self._url.get_backend_name() == "sqlite":
            engine = connection.make_engine(self._url, settings, self._clock)
            event.listen(engine, "do_connect", self.make_private_file)
        else:
            # Only a ledger in PostgreSQL needs psycopg. Not imported by the first thread that connects: a child that is
            # forked meanwhile would inherit the lock of a half imported module.
            import jobs.database.own_connection
            import jobs.database.postgres.connect  # noqa: F401

            engine = driver.make_engine(self._url, settings, most=self._most)
            event.listen(engine, "do_connect", self._connect_pooled)
            event.listen(engine, "handle_error", self._drop_unusable)
        if settings.database_schema:
            engine = engine.execution_options(schema_translate_map={None: settings.database_schema})
        SlowStatements(settings.slow_statement, self._clock).watch(engine)
        return engine

    def _connect_pooled(self, dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        from jobs.database.postgres.connect import connect

        connection = connect(self._settings, *arguments, **options)
        self.needs_blocks |= connection.needs_blocks
        return connection

    def _drop_unusable(self, context: ExceptionContext) -> None:
        # The other connections of the pool lead to the same server, so drop them too.
        if self._server.is_lost(context.original_exception):
            context.is_disconnect = True
