"""Limits how many connections of the pool may be in use at once, and by which code.

A worker's own threads (claims, settling, upkeep) have reserved connections. Of the others, the long transactions of
jobs leave a few free for short calls, so that code inside a transaction can always go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from jobs.clock import Clock
from jobs.database.postgres.driver import OWN_CONNECTIONS, SPARE_CONNECTIONS
from jobs.database.semaphore import Semaphore
from jobs.database.sqlite.connection import OVERFLOW
from jobs.fork_uses import sqlite_uses
from jobs.settings import Settings

SQLITE_OWN = OWN_CONNECTIONS + 1
"""Connections of a SQLite pool that a worker's own threads use, with the heartbeat and the file watcher."""


class Places:
    """The places of one pool.

    Args:
        most: the size of the pool of a PostgreSQL ledger.
    """

    def __init__(self, dialect: str, settings: Settings, most: int, clock: Clock) -> None:
        self._is_sqlite = dialect == "sqlite"
        most = settings.pool_size + OVERFLOW if self._is_sqlite else most
        self._limit_seconds: float | None = settings.connect_timeout.total_seconds()
        self._room = Semaphore(most, clock)
        # SQLite has one writer: writers of this process wait here, without a thread or a connection.
        self.transactions = Semaphore(1 if self._is_sqlite else max(1, most - SPARE_CONNECTIONS), clock)
        """Places for transactions that stay open between calls, such as a job's."""

    def one(self, what: str) -> AbstractContextManager[None]:
        """A place for one connection while the block runs; ``what`` describes its use in the error.

        Raises:
            LedgerBusy: no place was free within the time limit.
        """
        place = self._room.place(self._limit_seconds, what=what)
        return _counted(place) if self._is_sqlite else place

    def reserve(self) -> None:
        """Reserve the worker's own connections; other users share the rest and wait without limit."""
        # The heartbeat of a PostgreSQL ledger has a connection outside the pool.
        own = SQLITE_OWN if self._is_sqlite else OWN_CONNECTIONS - 1
        self._room.shrink(own)
        self.transactions.shrink(0 if self._is_sqlite else own)
        self._limit_seconds = None


@contextmanager
def _counted(place: AbstractContextManager[None]) -> Iterator[None]:
    with place, sqlite_uses:
        yield


class NoPlaces(Places):
    """For threads with reserved connections: every call succeeds at once."""

    def __init__(self, *, is_sqlite: bool = False) -> None:
        self._is_sqlite = is_sqlite

    def one(self, what: str) -> AbstractContextManager[None]:
        return sqlite_uses if self._is_sqlite else nullcontext()
