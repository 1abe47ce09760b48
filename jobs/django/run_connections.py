"""Closes old connections of Django around every run, as Django does around every request.

A worker's thread performs one run after another for days. A connection that the server has closed meanwhile, or that is
older than ``CONN_MAX_AGE``, is closed before the next run uses it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections

from jobs.database.postgres.readable import is_readable
from jobs.runtime.run import Run


@contextmanager
def fresh_connections(run: Run) -> Iterator[None]:
    """A run hook: the run gets no dead connection, and leaves none behind that is too old."""
    close_dead_connections()
    try:
        yield
    finally:
        close_obsolete_connections()


@asynccontextmanager
async def fresh_connections_async(run: Run) -> AsyncIterator[None]:
    """The same for coroutines, in the thread in which Django runs their queries."""
    await sync_to_async(close_dead_connections)()
    try:
        yield
    finally:
        await sync_to_async(close_obsolete_connections)()


def close_obsolete_connections() -> None:
    """Close the connections of this thread that are too old or have failed, as Django does after a request.

    Not those in a transaction, such as a test's, which ``django.db.close_old_connections`` would close too.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def close_dead_connections() -> None:
    """The same, and those that the server has closed while nobody looked."""
    close_obsolete_connections()
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None and not connection.in_atomic_block and _has_ended(connection):
            connection.close()


def _has_ended(connection: Any) -> bool:
    """Whether the server has ended it. No query: a server that closes a connection sends something first."""
    if connection.vendor != "postgresql":
        return False
    driver = connection.connection
    if driver.closed:
        return True
    return is_readable(driver.fileno(), 0) and not connection.is_usable()
