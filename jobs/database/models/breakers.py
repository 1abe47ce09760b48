"""Breakers: the slices that are open, the failures that count towards opening one, and the canaries."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Float, Index

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, Number, UtcDateTime, Words


class JobBreaker(Base):
    """A breaker, or one key of it. The row without a digest is what code declares, and the lock of all its keys.

    Open: ``opened_at`` is when it last opened, ``probe_at`` when its next canary may go.
    """

    __tablename__ = "job_breakers"

    name: Mapped[str] = column(Words(100), primary_key=True)
    digest: Mapped[str] = column(Words(32), primary_key=True)
    key: Mapped[str | None] = column(Words(200))
    keyed_by: Mapped[str | None] = column(Words(100))
    after: Mapped[int | None] = column(Number)
    within_seconds: Mapped[float | None] = column(Float)
    open_seconds: Mapped[float | None] = column(Float)
    opened_at: Mapped[datetime | None] = column(UtcDateTime)
    probe_at: Mapped[datetime | None] = column(UtcDateTime)
    fingerprint: Mapped[str | None] = column(Words(16))
    error_type: Mapped[str | None] = column(Words(200))
    failures: Mapped[int | None] = column(Number)
    failed_canaries: Mapped[int] = column(Number, default=0)
    changed_at: Mapped[datetime] = column(UtcDateTime)

    __table_args__ = (CheckConstraint("(opened_at is null) = (probe_at is null)", name="open_whole"),)


class JobBreakerFailure(Base):
    """A failed attempt that counts towards opening a breaker; deleted when it no longer does."""

    __tablename__ = "job_breaker_failures"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    attempt: Mapped[int] = column(Number, primary_key=True)
    name: Mapped[str] = column(Words(100))
    digest: Mapped[str] = column(Words(32))
    fingerprint: Mapped[str] = column(Words(16))
    failed_at: Mapped[datetime] = column(UtcDateTime)

    # ledger/breakers/failures.py: the failures of a slice with one fingerprint, within a time.
    __table_args__ = (Index("ix_job_breaker_failures_slice", "name", "digest", "fingerprint", "failed_at"),)


class JobCanary(Base):
    """A run that may go although its breaker is open. Without a token it is not claimed yet; ``since`` is from when."""

    __tablename__ = "job_breaker_canaries"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    name: Mapped[str] = column(Words(100))
    digest: Mapped[str] = column(Words(32))
    token: Mapped[UUID | None] = column(Id)
    since: Mapped[datetime] = column(UtcDateTime)

    # ledger/breakers/canaries.py: the canaries of a slice.
    __table_args__ = (Index("ix_job_breaker_canaries_slice", "name", "digest"),)
