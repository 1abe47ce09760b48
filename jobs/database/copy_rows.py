"""COPY in PostgreSQL's binary format: the cheapest way to insert many rows, for client and server.

Source: the format is described under "Binary Format" of COPY in PostgreSQL's manual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from jobs.database.binary_values import with_length, writer_of
from jobs.database.slow_queries import SLOW, SlowStatements

_HEAD, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"


def field(table: Table, column: str) -> Callable[[Any], bytes]:
    """The function that writes a value of ``column``, NULL included, with its length before it."""
    write = writer_of(table.c[column].type)
    assert write is not None
    return with_length(write)


def row(fields: int) -> bytes:
    """What comes before the ``fields`` of each row."""
    return fields.to_bytes(2, "big")


@contextmanager
def copy_rows(connection: Connection, table: Table, columns: Sequence[str]) -> Iterator[Callable[[bytes], None]]:
    """Copy rows into ``table``: the block passes pieces of whole rows. In the connection's transaction.

    The server inserts while the block makes the next piece.

    Raises:
        sqlalchemy.exc.DBAPIError: the driver's error, as SQLAlchemy would raise it.
    """
    options, dialect = connection.get_execution_options(), connection.dialect
    prepare = dialect.identifier_preparer
    schema = (options.get("schema_translate_map") or {}).get(None)
    name = f"{prepare.quote_schema(schema)}.{prepare.quote(table.name)}" if schema else prepare.quote(table.name)
    statement = f"copy {name} ({', '.join(map(prepare.quote, columns))}) from stdin (format binary)"
    slow: SlowStatements = options[SLOW]
    driver: Any = connection.connection.driver_connection
    began = slow.begin()
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(_HEAD)
            yield copy.write
            copy.write(_END)
    except dialect.loaded_dbapi.Error as error:
        is_gone = dialect.is_disconnect(error, driver, None)
        if is_gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            None, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=is_gone,
            dialect=dialect,
        ) from error  # fmt: skip
    slow.look(began, statement)
