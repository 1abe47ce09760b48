"""Small queries that every request needs, compiled once and executed by the driver directly.

For a small query SQLAlchemy takes as long as the driver and the server together. Only PostgreSQL's driver is called
directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select
from sqlalchemy.exc import MultipleResultsFound

from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.sql import Executor, connection_of


class Prepared:
    """A query of at most one row. Its columns and bound values are texts, numbers, UUIDs and moments.

    Runs in the transaction of the given connection, like any other statement.
    """

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._statement = DirectStatement(lambda dialect: query)

    def one(self, session: Executor, **given: Any) -> Sequence[Any] | None:
        """Its row, or None.

        Raises:
            MultipleResultsFound: there are several.
        """
        connection = connection_of(session)
        if connection.dialect.name != "postgresql":
            return connection.execute(self._query, given).one_or_none()
        rows = self._statement.run(DirectConnection.inside(connection), given)
        if len(rows) > 1:
            raise MultipleResultsFound("a prepared query found several rows")
        return rows[0] if rows else None
