"""Chaos: the mark of a ledger whose workers may be killed, and the effects of jobs while they are."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, Number, UtcDateTime, Words


class JobChaosTarget(Base):
    """The mark of this ledger: chaos may be run on it, under this name, until then. There is one row at most.

    ``run_until`` is when the run that is under way ends at the latest.
    """

    __tablename__ = "job_chaos_targets"

    target: Mapped[str] = column(Words(40), primary_key=True)
    reason: Mapped[str | None] = column(Words(500))
    allowed_by: Mapped[str] = column(Words(200))
    allowed_at: Mapped[datetime] = column(UtcDateTime)
    allowed_until: Mapped[datetime] = column(UtcDateTime)
    run_by: Mapped[str | None] = column(Words(200))
    run_until: Mapped[datetime | None] = column(UtcDateTime)


class JobChaosEffect(Base):
    """One ``transaction()`` of an attempt while chaos is run: ``commits`` is counted in the transaction itself."""

    __tablename__ = "job_chaos_effects"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    token: Mapped[UUID] = column(Id, primary_key=True)
    began_at: Mapped[datetime] = column(UtcDateTime)
    commits: Mapped[int] = column(Number, default=0)
