"""The log lines of attempts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, JsonText, Number, UtcDateTime


class JobAttemptLog(Base):
    """What an attempt logged: its first and last lines, and how many there were. Written while it performs, and when it
    ends.

    ``lines`` is a list of ``[number, milliseconds since 1970, level, source, text]``, in the order of the numbers.
    """

    __tablename__ = "job_attempt_logs"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    attempt: Mapped[int] = column(Number, primary_key=True)
    token: Mapped[UUID] = column(Id)
    lines: Mapped[Any] = column(JsonText)
    line_count: Mapped[int] = column(Number)
    left_out: Mapped[int] = column(Number)
    written_at: Mapped[datetime] = column(UtcDateTime)

    __table_args__ = (CheckConstraint("left_out between 0 and line_count", name="left_out"),)
