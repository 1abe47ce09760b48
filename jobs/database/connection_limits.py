"""How many connections of the pool may be in use at once, and by whom.

A worker's own threads (claims, settling, upkeep) have some that no job can take. Of the rest, transactions that jobs
hold open leave a few to what is asked and answered at once: who has a transaction can always go on.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from jobs.clock import Clock
from jobs.database.postgres.driver import OWN_CONNECTIONS, SPARE
from jobs.database.semaphore import Semaphore
from jobs.database.sqlite.connection import OVERFLOW
from jobs.settings import Settings

SQLITE_OWN = OWN_CONNECTIONS + 1
"""What a worker's own threads use of a SQLite pool: with the heartbeat's, and one that watches the file."""


class Places:
    """Those of one pool.

    Args:
        most: what the pool of a PostgreSQL ledger may hold.
    """

    def __init__(self, dialect: str, settings: Settings, most: int, clock: Clock) -> None:
        self._is_sqlite = dialect == "sqlite"
        most = settings.pool_size + OVERFLOW if self._is_sqlite else most
        self._limit_seconds: float | None = settings.connect_timeout.total_seconds()
        self._room = Semaphore(most, clock)
        # SQLite has one writer: those of this process wait for it here, without a thread or a connection.
        self.transactions = Semaphore(1 if self._is_sqlite else max(1, most - SPARE), clock)
        """Those of transactions that outlive a call: a job's, open while it does other things."""

    def one(self, what: str) -> AbstractContextManager[None]:
        """A place for one connection while the block runs; ``what`` it leads to.

        Raises:
            LedgerBusy: there was none within the time limit.
        """
        return self._room.place(self._limit_seconds, what=what)

    def reserve(self) -> None:
        """Leave a worker's own threads theirs; whoever shares the rest waits for as long as it takes."""
        # The heartbeat of a PostgreSQL ledger is not of the pool.
        own = SQLITE_OWN if self._is_sqlite else OWN_CONNECTIONS - 1
        self._room.shrink(own)
        self.transactions.shrink(0 if self._is_sqlite else own)
        self._limit_seconds = None


class NoPlaces(Places):
    """For those whose connections are reserved: nothing to ask for."""

    def __init__(self) -> None: ...

    def one(self, what: str) -> AbstractContextManager[None]:
        return nullcontext()
