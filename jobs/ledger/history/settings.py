"""Whether ended runs move to history, and into partitions of which length."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, insert, literal_column, null, select, update

from jobs.database.models import JobHistorySettings
from jobs.database.sql import Executor, ledger_now, plus_seconds

MOVES_AFTER = timedelta(minutes=1)
"""How long after it was enabled runs begin to move. Source: decision; three looks of ``HistoryReads``, after which
every process reads both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """Without ``disabled_at``, runs move after ``moves_after``; with it, none does, and what has moved stays readable.

    Attributes:
        period: the length of a partition: ``month``, ``week`` or ``day``.
        is_due: whether runs move at this moment.
    """

    period: str
    enabled_at: datetime
    moves_after: datetime
    disabled_at: datetime | None
    is_due: bool


def history_settings(session: Executor, *, now: datetime | None = None) -> HistorySettings | None:
    """The settings; None if history was never enabled."""
    row = JobHistorySettings
    query = select(
        row.period, row.enabled_at, row.moves_after, row.disabled_at,
        (row.disabled_at.is_(None) & (row.moves_after <= ledger_now())).label("is_due"),
    )  # fmt: skip
    found = session.execute(query, {"now": now}).one_or_none()
    if found is None:
        return None
    return HistorySettings(
        period=found.period,
        enabled_at=found.enabled_at,
        moves_after=found.moves_after,
        disabled_at=found.disabled_at,
        is_due=bool(found.is_due),
    )


def enable(session: Executor, *, period: str, now: datetime | None = None) -> None:
    """Let ended runs move, a minute from now, into partitions of this length."""
    session.execute(delete(JobHistorySettings))
    after: ColumnElement[float] = literal_column(str(MOVES_AFTER.total_seconds()))
    values = {"id": literal_column("1"), "period": period, "enabled_at": ledger_now(), "disabled_at": null()}
    session.execute(
        insert(JobHistorySettings).values(moves_after=plus_seconds(ledger_now(), after), **values), {"now": now}
    )


def disable(session: Executor, *, now: datetime | None = None) -> bool:
    """Let no more runs move. Returns whether they moved until now."""
    statement = (
        update(JobHistorySettings)
        .where(JobHistorySettings.disabled_at.is_(None))
        .values(disabled_at=ledger_now())
        .returning(JobHistorySettings.id)
    )
    return session.execute(statement, {"now": now}).one_or_none() is not None
