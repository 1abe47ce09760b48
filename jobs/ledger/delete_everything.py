"""Deletes every row of the ledger: for databases that exist only for tests."""

from __future__ import annotations

from sqlalchemy import delete

from jobs.database.models import Base
from jobs.database.sql import Executor


def delete_everything(session: Executor) -> None:
    """Delete all runs, attempts, keys, schedules, operators and audit entries. There is no undo."""
    for table in reversed(Base.metadata.sorted_tables):
        session.execute(delete(table))
