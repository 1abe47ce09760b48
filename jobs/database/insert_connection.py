"""The connection that the callers of one process share to insert runs, one of them at a time. PostgreSQL only.

It is outside the pool: its statements are prepared and planned once, and taking a connection of the pool and returning
it takes longer than the insert.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from jobs.database.direct_statements import DirectConnection

if TYPE_CHECKING:
    from jobs.database.own_connection import OwnConnection

FOR_INSERTS = ("seqscan", "bitmapscan")
"""The ways that a plan of an insert must not take: what it reads, it finds by a key."""


class Connections(Protocol):
    """The connections of a ``Database``."""

    def direct(self, *, urgent: bool = False) -> AbstractContextManager[DirectConnection]: ...

    def own_connection(self, *, without: Sequence[str]) -> OwnConnection | None: ...

    def translated(self) -> AbstractContextManager[None]: ...


class InsertConnection:
    """Opened at first use. Where it is in use, or there is none, callers get a connection of the pool."""

    _in_use: threading.Lock
    _own: OwnConnection | None
    _is_unwanted: bool

    def __init__(self, database: Connections) -> None:
        self._database = database
        self.forget()

    @contextmanager
    def opened(self, *, urgent: bool = False) -> Iterator[DirectConnection]:
        """``Database.direct`` for statements that insert runs. Raises the same errors."""
        if self._process != os.getpid():
            self.forget()
        # Not reentrant: a signal handler may enqueue while its thread waits for an answer on this connection.
        if not self._in_use.acquire(blocking=False):
            with self._database.direct(urgent=urgent) as direct:
                yield direct
            return
        try:
            if self._own is None:
                self._own = self._database.own_connection(without=FOR_INSERTS)
            if self._own is None:
                with self._database.direct(urgent=urgent) as direct:
                    yield direct
            else:
                with self._database.translated(), self._own.opened() as direct:
                    yield direct
        finally:
            self._in_use.release()
            if self._is_unwanted:
                self.close()

    def close(self) -> None:
        """Close the connection. While somebody has it, it is closed once the block ends."""
        self._is_unwanted = True
        if self._in_use.acquire(blocking=False):
            try:
                own, self._own, self._is_unwanted = self._own, None, False
                if own is not None:
                    own.close()
            finally:
                self._in_use.release()

    def forget(self) -> None:
        """After a fork: drop the connection without closing the parent's."""
        self._process = os.getpid()
        self._own = None
        self._in_use = threading.Lock()
        self._is_unwanted = False
