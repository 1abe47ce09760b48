"""Limits of how many runs perform at once, rates of how many start, and what each run holds of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Double, Index

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, LongText, Number, UtcDateTime, Words


class JobLimit(Base):
    """A limit, a rate, or both of one name; or one key of it. The row without a digest is the limit itself: what code
    declares, and what operators set for all its keys. Whoever counts locks the rows of the keys first, in their order.

    ``rate_started`` and ``rate_lines`` are the state of a rate's key: see ledger/limits/gcra.py. ``run_hold_until`` is
    what a run asked for, and ``hold_until`` what an operator set.
    """

    __tablename__ = "job_limits"

    name: Mapped[str] = column(Words(100), primary_key=True)
    digest: Mapped[str] = column(Words(32), primary_key=True)
    key: Mapped[str | None] = column(Words(200))
    keyed_by: Mapped[str | None] = column(Words(100))
    most: Mapped[int | None] = column(Number)
    set_most: Mapped[int | None] = column(Number)
    hold_until: Mapped[datetime | None] = column(UtcDateTime)
    seen_at: Mapped[datetime] = column(UtcDateTime)
    rate_count: Mapped[int | None] = column(Number)
    rate_seconds: Mapped[float | None] = column(Double)
    rate_burst: Mapped[int | None] = column(Number)
    rate_keyed_by: Mapped[str | None] = column(Words(100))
    set_rate_count: Mapped[int | None] = column(Number)
    set_rate_seconds: Mapped[float | None] = column(Double)
    rate_started: Mapped[int | None] = column(BigInteger)
    rate_lines: Mapped[str | None] = column(LongText)
    run_hold_until: Mapped[datetime | None] = column(UtcDateTime)
    run_hold_by: Mapped[UUID | None] = column(Id)

    __table_args__ = (CheckConstraint("most > 0 and (set_most is null or set_most > 0)", name="most"),)


class JobLimitSlot(Base):
    """A slot of a limit that a run has. It counts while the run is running with this token.

    Without a token it is a slot that was handed to a parked run, which is ready now and not claimed yet.
    """

    __tablename__ = "job_limit_slots"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    name: Mapped[str] = column(Words(100), primary_key=True)
    digest: Mapped[str] = column(Words(32))
    token: Mapped[UUID | None] = column(Id)
    taken_at: Mapped[datetime] = column(UtcDateTime)

    # ledger/limits/counts.py: the slots of a key.
    __table_args__ = (Index("ix_job_limit_slots_key", "name", "digest"),)


class JobRateSlot(Base):
    """A slot of a rate that is reserved for a run. It stands for this attempt of the run, and for no other.

    So a claim that is given back keeps its slot, and the next attempt needs another.
    """

    __tablename__ = "job_rate_slots"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    name: Mapped[str] = column(Words(100), primary_key=True)
    digest: Mapped[str] = column(Words(32))
    attempt: Mapped[int] = column(Number)
    place: Mapped[int] = column(BigInteger)

    # ledger/limits/sweep.py: the oldest.
    __table_args__ = (Index("ix_job_rate_slots_place", "place"),)
