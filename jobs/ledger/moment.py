"""The ledger's clock. A reader's own may be hours off."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from jobs.database.sql import Executor, ledger_now


def ledger_moment(session: Executor, *, now: datetime | None = None) -> datetime:
    """The current moment by the ledger's clock, or ``now`` if it is given."""
    found = session.scalar(select(ledger_now()), {"now": now})
    assert isinstance(found, datetime)
    return found
