"""History: whether ended runs move, and into partitions of which length."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Number, UtcDateTime, Words, one_of

PERIODS = ("day", "month", "week")


class JobHistorySettings(Base):
    """One row, once somebody has enabled history. The tables of history are made at that moment.

    Runs move after ``moves_after``, when each process knows that it must read both.
    """

    __tablename__ = "job_history_settings"

    id: Mapped[int] = column(Number, primary_key=True, autoincrement=False)
    period: Mapped[str] = column(Words(5))
    enabled_at: Mapped[datetime] = column(UtcDateTime)
    moves_after: Mapped[datetime] = column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = column(UtcDateTime)

    __table_args__ = (CheckConstraint(one_of("period", PERIODS), name="period"),)
