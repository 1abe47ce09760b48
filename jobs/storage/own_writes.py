"""The transactions in which a stored value is written: of their own, except where SQLite has one writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.app import App
from jobs.database.transactions.joining import joined
from jobs.runtime.context import session_to_join

if TYPE_CHECKING:
    from sqlalchemy import Connection


@contextmanager
def writing(app: App) -> Iterator[Connection]:
    """A transaction of its own. On SQLite, inside an open transaction, that one, since no other could write meanwhile.

    Raises:
        ServiceDown: the ledger does not answer.
    """
    session = session_to_join(app)
    if session is None or app.database.dialect != "sqlite":
        with app.database.write(urgent=True) as connection:
            yield connection
    else:
        with joined(session, app.database) as transaction:
            yield transaction.connection
