"""Statements with parameters in the binary format, prepared on a connection of ours or not on one of others.

For a small statement psycopg's cursor takes longer than libpq and the server together: it looks up how to write each
parameter, and describes a result that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from jobs.database.postgres.connection import LimitedConnection, NumberedCursor
from jobs.database.postgres.numbered import names_in, numbered

_BINARY = 1
_KEPT = 4096
"""The length of a statement up to which psycopg keeps where its parameters are. Source: psycopg 3.3. The statement that
settles under limits has 11,000 characters: to search it takes 0.3 ms."""
_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


class PreparedStatements:
    """The statements of a connection in autocommit, which one thread uses at a time."""

    def __init__(self, connection: LimitedConnection) -> None:
        self._connection = connection
        self._names: dict[str, bytes] = {}
        self._numbered: dict[str, tuple[str, list[str]]] = {}
        """Long statements, and the names of their parameters in order."""

    def send(self, text: str, parameters: Sequence[bytes | None]) -> Callable[[], PGresult]:
        """Send the statement, prepared at its first use. Returns how to get its result, in the binary format.

        Nothing else may be sent before the result has been taken.

        Args:
            text: with ``$1``, ``$2``, … for the parameters.

        Raises:
            psycopg.Error: the statement failed, or the server was silent for too long; either now or later.
        """
        name = self._names.get(text)
        if name is None:
            name = f"jobs_{len(self._names)}".encode()
            self._connection.pgconn.send_prepare(name, text.encode())
            self._answer()
            self._names[text] = name
        self._connection.check_in_step()
        self._connection.pgconn.send_query_prepared(name, parameters, [_BINARY] * len(parameters), _BINARY)
        return self._answer

    def execute(self, text: str, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        """``Connection.execute`` of psycopg, which searches a long statement for its parameters each time.

        Here that is done once.
        """
        if len(text) <= _KEPT:
            return self._connection.execute(text, values)
        found = self._numbered.get(text)
        if found is None:
            names = names_in(text)
            found = self._numbered[text] = numbered(text, names), names
        form, names = found
        return NumberedCursor(self._connection).execute(form, [values[name] for name in names])

    def _answer(self) -> PGresult:
        connection = self._connection
        if connection.pgconn.flush():
            # More than the socket takes at once: the server may want to be read meanwhile.
            return _checked(connection.wait(generators.execute(connection.pgconn))[-1])
        return _checked(connection.answer())


def execute_once(connection: psycopg.Connection[Any], text: str, parameters: Sequence[bytes | None]) -> PGresult | None:
    """Execute a statement, without preparing it, on a connection that may belong to others.

    Returns its result in the binary format. None, and nothing was sent: the driver must begin the transaction, or its
    pipeline is on.

    Raises:
        psycopg.Error: the statement failed.
    """
    pgconn = connection.pgconn
    with connection.lock:
        is_begun = connection.autocommit or pgconn.transaction_status != TransactionStatus.IDLE
        if not is_begun or pgconn.pipeline_status != PipelineStatus.OFF:
            return None
        formats = [_BINARY] * len(parameters)
        pgconn.send_query_params(text.encode(), parameters, param_formats=formats, result_format=_BINARY)
        return _checked(connection.wait(generators.execute(pgconn))[-1])


def _checked(result: PGresult) -> PGresult:
    if result.status not in _DONE:
        raise psycopg.errors.error_from_result(result)
    return result
