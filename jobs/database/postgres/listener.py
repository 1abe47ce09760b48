"""Receives the NOTIFY of other processes: on the connection of a thread that claims, or on one of its own."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from jobs.database.postgres.connection import LimitedConnection
from jobs.errors import JobsError


def listen(connection: LimitedConnection) -> None:
    """Let this connection receive what ``send_notify`` sends, for its ``wait_for_notify``."""
    connection.record_notifies()
    connection.execute("listen jobs_ready", prepare=False)
    if not connection.autocommit:
        connection.commit()


class Listener:
    """A connection of its own that receives ``send_notify``; made at first use, and again after it broke.

    Args:
        connect: makes the connection, in the same way as for the pool.
        translate: gives our error for a driver's error.
        moves: how often the server was found unusable; after a change the connection is made again.
    """

    def __init__(
        self,
        connect: Callable[[], LimitedConnection],
        *,
        translate: Callable[[Exception], JobsError],
        moves: Callable[[], int],
    ) -> None:
        self._connect, self._translate, self._moves = connect, translate, moves
        self._connection: LimitedConnection | None = None
        self._made_at_move = 0

    def wait_for_notify(self, seconds: float) -> bool:
        """Wait for a notification. True if one came in time, or the connection is new and may have missed one.

        Raises:
            ServiceDown: the server does not let us listen.
        """
        if self._made_at_move != self._moves():
            self.close()
        try:
            if self._connection is None:
                self._made_at_move = self._moves()
                self._connection = self._connect()
                self._connection.autocommit = True
                listen(self._connection)
                return True
            return self._connection.wait_for_notify(seconds)
        except psycopg.Error as error:
            self.close()
            raise self._translate(error) from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
