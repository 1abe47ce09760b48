"""Statements that are compiled once and sent to the database driver directly.

For a small statement SQLAlchemy takes longer than the driver and the server together. The hot path (enqueue, claim,
settle) therefore renders each statement once, from the same SQLAlchemy expression that other code executes, and then
passes the text to psycopg or sqlite3. Such a statement is a transaction of its own: one round trip to PostgreSQL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Executable

from jobs.database import sql
from jobs.database.binary_form import BinaryForm
from jobs.database.models import UtcDateTime, read_moment
from jobs.database.slow_queries import SLOW, SlowStatements

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

    from jobs.database.postgres.prepared_statements import PreparedStatements

_NAMED = sqlite.dialect(paramstyle="named")
_FLOAT8 = 701
"""The type number of double precision. SQLAlchemy asks for the number of a column's type only if it is numeric."""


class DirectStatement:
    """A statement that is rendered once for each dialect and schema, and passed to the driver.

    Args:
        build: makes the statement for a dialect name (``postgresql``, ``sqlite``). It contains no values: each is
            bound.
    """

    def __init__(self, build: Callable[[str], Executable]) -> None:
        self._build = build
        self._rendered: dict[tuple[str, str | None], Rendered] = {}
        self._built: dict[str, Any] = {}

    def run(self, connection: DirectConnection, given: Mapping[str, Any]) -> list[Sequence[Any]]:
        """The rows that it returns, with the values that SQLAlchemy would give; an empty list if it returns none.

        Raises:
            sqlalchemy.exc.DBAPIError: the driver's error, as SQLAlchemy would raise it.
        """
        rendered = self.rendered(connection.dialect, connection.schema)
        return rendered.read(connection.run(rendered.text, rendered.bind(given)))

    def count(self, connection: DirectConnection, given: Mapping[str, Any]) -> int:
        """Run it, and return how many rows it returns, without reading them.

        Raises:
            sqlalchemy.exc.DBAPIError: the driver's error, as SQLAlchemy would raise it.
        """
        return connection.count(self.rendered(connection.dialect, connection.schema), given)

    def begin(self, connection: DirectConnection, given: Mapping[str, Any]) -> Callable[[], PGresult] | None:
        """Send it, and return how to get its result, in the binary format. Nothing else may be sent in between.

        None: nothing was sent. The connection prepares no statements, or a value cannot be written.

        Raises:
            psycopg.Error: the statement failed; either now or when its result is taken.
        """
        return connection.begin(self.rendered(connection.dialect, connection.schema), given)

    def moment(self, connection: DirectConnection, given: Mapping[str, Any]) -> datetime:
        """Run it, and return the moment in the first column of its one row.

        Raises:
            sqlalchemy.exc.DBAPIError: the driver's error, as SQLAlchemy would raise it.
        """
        return connection.moment(self.rendered(connection.dialect, connection.schema), given)

    def send(self, runner: Runner, given: Mapping[str, Any]) -> Callable[[], Sequence[Sequence[Any]]]:
        """``rows``, without waiting for them if the connection is in pipeline mode. Call the result to read them.

        An error comes when something is read, or when the transaction ends.
        """
        if not isinstance(runner, DirectConnection) or runner.pipeline is None:
            found = self.rows(runner, given)
            return lambda: found
        rendered = self.rendered(runner.dialect, runner.schema)
        read = runner.send(rendered.text, rendered.bind(given))
        return lambda: rendered.read(read())

    def rows(self, runner: Runner, given: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """The same on a connection of either kind, in its transaction; ``given`` has exactly what is bound."""
        if isinstance(runner, DirectConnection):
            return self.run(runner, given)
        dialect = sql.dialect_of(runner)
        if dialect not in self._built:
            self._built[dialect] = self._build(dialect)
        result: Any = runner.execute(self._built[dialect], dict(given))
        return result.all() if result.returns_rows else []

    def rendered(self, dialect: Dialect, schema: str | None) -> Rendered:
        """The statement in the form that the driver takes."""
        key = dialect.name, schema
        found = self._rendered.get(key)
        if found is None:
            found = self._rendered[key] = Rendered(self._build(dialect.name), dialect, schema)
        return found


class Rendered:
    """A statement's text, and how its values are converted for the driver, and those of its rows from it."""

    def __init__(self, statement: Any, dialect: Dialect, schema: str | None) -> None:
        schemas = {None: schema} if schema else None
        compiled = statement.compile(
            dialect=_NAMED if dialect.name == "sqlite" else dialect,
            schema_translate_map=schemas,
            render_schema_translate=bool(schemas),
        )
        self.text = str(compiled)
        # A value that is not passed on each call would be missing.
        assert all(value is None for value in compiled.params.values()), compiled.params
        self._names = tuple(compiled.params)
        kinds = {name: compiled.binds[name].type for name in self._names}
        self.binary = BinaryForm.of(self.text, kinds) if dialect.name == "postgresql" else None
        self._turns: list[tuple[str, Callable[[Any], Any]]] = []
        for name in self._names:
            kind = compiled.binds[name].type
            turn = kind.dialect_impl(dialect).bind_processor(dialect)
            if turn is not None:
                self._turns.append((name, turn))
        self._readers: list[tuple[int, Callable[[Any], Any]]] = []
        self._moments: list[int] = []
        for place, column in enumerate(statement.exported_columns):
            reader = column.type.dialect_impl(dialect).result_processor(dialect, _FLOAT8)
            if reader is not None:
                self._readers.append((place, reader))
                if isinstance(column.type, UtcDateTime):
                    self._moments.append(place)

    def bind(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: given.get(name) for name in self._names}
        if sql.pins and "now" in values and values["now"] is None:
            values["now"] = sql.pins[-1]()
        for name, turn in self._turns:
            value = values[name]
            if value is not None:
                values[name] = turn(value)
        return values

    def read(self, rows: list[Sequence[Any]]) -> list[Sequence[Any]]:
        """The driver's ``rows`` with converted values."""
        if not self._readers or self._are_in_utc(rows):
            return rows
        read: list[Sequence[Any]] = []
        for row in rows:
            values = list(row)
            for place, reader in self._readers:
                values[place] = reader(values[place])
            read.append(values)
        return read

    def _are_in_utc(self, rows: list[Sequence[Any]]) -> bool:
        """Whether moments are all that would be converted, and the driver has read them as UTC.

        It reads the moments of a result in one time zone, that of the connection, so the first of them tells.
        """
        if not rows or len(self._moments) < len(self._readers):
            return False
        first = next((rows[0][place] for place in self._moments if rows[0][place] is not None), None)
        return isinstance(first, datetime) and first.tzinfo is UTC


class DirectConnection:
    """A driver's connection for direct statements.

    Args:
        origin: the engine or connection of SQLAlchemy that the driver's connection belongs to.
        prepared: what the connection has prepared, if it is in autocommit and one thread keeps it.
    """

    def __init__(
        self,
        origin: Engine | Connection,
        schema: str | None,
        connection: Any,
        *,
        prepared: PreparedStatements | None = None,
    ) -> None:
        self.dialect = origin.dialect
        self.schema = schema
        self._execute: Callable[..., Any] = connection.execute if prepared is None else prepared.execute
        self._prepared = prepared
        self.pipeline: Any = None
        """The driver's pipeline, while the connection is in pipeline mode."""
        self._slow: SlowStatements = origin.get_execution_options()[SLOW]

    @classmethod
    def inside(cls, connection: Connection) -> DirectConnection:
        """The driver's connection below ``connection``: statements belong to its transaction."""
        schemas = connection.get_execution_options().get("schema_translate_map")
        return cls(connection, schemas[None] if schemas else None, connection.connection.dbapi_connection)

    def count(self, rendered: Rendered, given: Mapping[str, Any]) -> int:
        """How many rows a statement returns."""
        result = self.begin(rendered, given)
        return len(self.run(rendered.text, rendered.bind(given))) if result is None else result().ntuples

    def begin(self, rendered: Rendered, given: Mapping[str, Any]) -> Callable[[], PGresult] | None:
        """Send a statement without waiting for its result; None if that is not possible here."""
        form = rendered.binary
        # In a pipeline only the driver knows which answer is the next, and what must be sent for it to come.
        prepared = self._prepared if self.pipeline is None else None
        if prepared is None or form is None or (parameters := form.parameters(given)) is None:
            return None
        began, text = self._slow.begin(), form.text
        take = prepared.send(text, parameters)

        def result() -> PGresult:
            found = take()
            self._slow.look(began, text)
            return found

        return result

    def moment(self, rendered: Rendered, given: Mapping[str, Any]) -> datetime:
        """The moment in the first column of the one row that a statement returns."""
        return read_moment(self.run(rendered.text, rendered.bind(given))[0][0])

    def run(self, text: str, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        began = self._slow.begin()
        cursor = self._execute(text, values)
        if self.pipeline is not None:
            self.pipeline.sync()
        rows = cursor.fetchall() if cursor.description else []
        self._slow.look(began, text)
        return rows

    def send(self, text: str, values: Mapping[str, Any]) -> Callable[[], list[Sequence[Any]]]:
        """``run`` in pipeline mode, without waiting for the rows."""
        cursor = self._execute(text, values)

        def read() -> list[Sequence[Any]]:
            if cursor.description is None:
                self.pipeline.sync()
            return cursor.fetchall() if cursor.description else []

        return read


Runner: TypeAlias = "sql.Executor | DirectConnection"
"""The caller's session or connection, or a driver's connection in a transaction."""


@contextlib.contextmanager
def direct(
    engine: Engine,
    schema: str | None,
    *,
    needs_block: Callable[[], bool],
    is_unusable: Callable[[BaseException], bool],
) -> Iterator[DirectConnection]:
    """A connection whose statements commit by themselves; it is reset before it returns to the pool.

    On SQLite the caller holds the write turn.

    Args:
        needs_block: whether statements still need a transaction around them; called once a connection exists.
        is_unusable: whether the connection is useless after this error.

    Raises:
        sqlalchemy.exc.DBAPIError: as SQLAlchemy raises it, so that ``Database.translated`` reads it.
    """
    fairy = engine.raw_connection()
    driver: Any = fairy.driver_connection
    dialect = engine.dialect
    is_autocommit = dialect.name == "postgresql" and not needs_block()
    try:
        if is_autocommit:
            driver.autocommit = True
        yield DirectConnection(engine, schema, driver)
        if not is_autocommit:
            driver.commit()
    except dialect.loaded_dbapi.Error as error:
        is_gone = is_unusable(error) or dialect.is_disconnect(error, driver, None)
        if is_gone:
            fairy.invalidate(error)
        raise DBAPIError.instance(
            None, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=is_gone,
            dialect=dialect,
        ) from error  # fmt: skip
    finally:
        if is_autocommit and fairy.is_valid and not driver.closed:
            driver.autocommit = False
        fairy.close()
