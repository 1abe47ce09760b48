"""Limits how long a transaction waits for a unique key that another has not committed yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from jobs.database.postgres.driver import LOCK_NOT_AVAILABLE, driver_errors, sqlstate
from jobs.database.sql import Executor, dialect_of
from jobs.errors import KeyBusy


def limit_wait(session: Executor, seconds: float) -> str | None:
    """PostgreSQL: limit this transaction's wait for another's key. Returns the limit before."""
    if dialect_of(session) != "postgresql":
        return None
    before = session.scalar(select(func.current_setting("lock_timeout")))
    set_wait(session, f"{max(1, int(seconds * 1000))}ms")
    return str(before)


def set_wait(session: Executor, limit: str | None) -> None:
    """Restore the limit that ``limit_wait`` changed; None does nothing."""
    if limit is not None:
        session.execute(select(func.set_config("lock_timeout", limit, True)))


@contextmanager
def key_waits() -> Iterator[None]:
    """PostgreSQL: raise ``KeyBusy`` for a wait for a key that took too long."""
    try:
        yield
    except driver_errors(DBAPIError) as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        raise KeyBusy(
            "Another transaction has enqueued with the same key and has not ended in time.",
            hint="Try again; keep transactions that enqueue short.",
        ) from error
