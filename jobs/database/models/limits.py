"""Limits of how many runs perform at once, and what each run holds of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database.models.types import Base, Id, Number, UtcDateTime, Words


class JobLimit(Base):
    """A limit, or one key of it. The row without a digest is the limit itself: what code declares, and what operators
    set for all its keys. Whoever counts locks the rows of the keys first, in their order.
    """

    __tablename__ = "job_limits"

    name: Mapped[str] = mapped_column(Words(100), primary_key=True)
    digest: Mapped[str] = mapped_column(Words(32), primary_key=True)
    key: Mapped[str | None] = mapped_column(Words(200))
    keyed_by: Mapped[str | None] = mapped_column(Words(100))
    most: Mapped[int | None] = mapped_column(Number)
    set_most: Mapped[int | None] = mapped_column(Number)
    hold_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (CheckConstraint("most > 0 and (set_most is null or set_most > 0)", name="most"),)


class JobLimitSlot(Base):
    """A slot of a limit that a run has. It counts while the run is running with this token.

    Without a token it is a slot that was handed to a parked run, which is ready now and not claimed yet.
    """

    __tablename__ = "job_limit_slots"

    run_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Words(100), primary_key=True)
    digest: Mapped[str] = mapped_column(Words(32))
    token: Mapped[UUID | None] = mapped_column(Id)
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # ledger/limits/counts.py: the slots of a key.
    __table_args__ = (Index("ix_job_limit_slots_key", "name", "digest"),)
