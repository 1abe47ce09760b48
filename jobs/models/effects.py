"""What runs rely on: keys, steps and cursors, follow-ups."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Index,
    Integer,
    String,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobs.models.types import (
    Base,
    JsonText,
    UtcDateTime,
)


class JobKey(Base):
    """A key that is held for longer than its run is live. It outlives its run, and is left when runs are pruned."""

    __tablename__ = "job_keys"

    kind: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    run_id: Mapped[UUID] = mapped_column(Uuid)
    arguments_hash: Mapped[str] = mapped_column(String(32))
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # ledger/keys.py, keys that nobody holds any more.
    __table_args__ = (Index("ix_job_keys_held_until", "held_until"),)


class JobStep(Base):
    """A named part of a run, kept across attempts: an effect with its intent and its end, or a cursor."""

    __tablename__ = "job_steps"

    run_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    form: Mapped[str] = mapped_column(String(10))
    token: Mapped[UUID] = mapped_column(Uuid)
    attempt: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    result: Mapped[Any | None] = mapped_column(JsonText)

    __table_args__ = (CheckConstraint("form in ('cursor', 'effect')", name="form"),)


class JobFollowup(Base):
    """A run that is to be enqueued in the transaction that ends another. ``id`` is the id it will have."""

    __tablename__ = "job_followups"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    run_id: Mapped[UUID] = mapped_column(Uuid)
    on_state: Mapped[str] = mapped_column(String(10))
    kind: Mapped[str] = mapped_column(String(200))
    run: Mapped[Any] = mapped_column(JsonText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    enqueued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("on_state in ('cancelled', 'dead', 'ended', 'succeeded')", name="on_state"),
        # ledger/followups.py, those of runs that end.
        Index("ix_job_followups_run", "run_id"),
    )
