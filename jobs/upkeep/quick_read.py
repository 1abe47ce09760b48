"""A connection for reads that upkeep repeats for ever: the cheapest one that the dialect has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.database.direct_statements import Runner
from jobs.database.engine import Database


@contextmanager
def quick_read(database: Database) -> Iterator[Runner]:
    """A block of reads of the hot tables. On PostgreSQL they are direct statements.

    Raises:
        ServiceDown: the database does not answer.
    """
    # A direct statement takes the turn of a writer on SQLite.
    with database.read() if database.dialect == "sqlite" else database.direct() as runner:
        yield runner
