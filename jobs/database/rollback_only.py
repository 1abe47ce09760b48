"""One connection whose transaction is always rolled back: for code that is tried out against real tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from jobs.database.engine import Database

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class RollbackOnly:
    """Sessions on one connection, one after another; each sees what the ones before it wrote, and nothing is committed.

    On SQLite it holds the write lock from its first write until ``close``; on PostgreSQL the locks of the rows that it
    wrote.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    def open(self) -> None:
        """Connect now; later calls need no connection.

        Raises:
            ServiceDown: the database does not answer.
        """
        with self._database.translated():
            self._connection = self._database.engine.connect().execution_options(schema_translate_map=None)
            self._connection.begin()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session in a SAVEPOINT: its commit keeps the writes for the next session, an error undoes them."""
        from sqlalchemy.orm import Session

        assert self._connection is not None
        with Session(self._connection, join_transaction_mode="create_savepoint") as session:
            yield session
            session.commit()

    def close(self) -> None:
        """Roll everything back."""
        if self._connection is not None:
            self._connection.rollback()
            self._connection.close()
            self._connection = None
        self._database.close()
