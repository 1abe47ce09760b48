"""Fair turns: how far each tenant of a queue and priority has come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import SmallNumber, UtcDateTime, Words


class JobTurn(Base):
    """A tenant's next turn in a queue and priority: it goes before those with a larger number.

    The row of the empty tenant has the turn that is taken now, and its lock lets one claim at a time take turns.
    ``resume_after`` is the last tenant that it looked at, if there were too many for one look.
    """

    __tablename__ = "job_turns"

    queue: Mapped[str] = column(Words(100), primary_key=True)
    priority: Mapped[int] = column(SmallNumber, primary_key=True)
    tenant: Mapped[str] = column(Words(100), primary_key=True)
    turn: Mapped[float] = column(Float)
    weight: Mapped[float] = column(Float)
    resume_after: Mapped[str | None] = column(Words(100))
    seen_at: Mapped[datetime] = column(UtcDateTime)
