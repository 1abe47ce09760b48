"""What waiting runs wait for: signals, and the one-time addresses by which outside systems send them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, JsonText, UtcDateTime, Words


class JobSignal(Base):
    """A signal to a run. The first one with a name is kept, also if the run does not wait for it yet."""

    __tablename__ = "job_signals"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    name: Mapped[str] = column(Words(200), primary_key=True)
    payload: Mapped[Any | None] = column(JsonText)
    sent_at: Mapped[datetime] = column(UtcDateTime)
    sent_by: Mapped[str | None] = column(Words(200))


class JobCallback(Base):
    """A callback URL of a run, by the hash of its token. It sends one signal, once, until it expires."""

    __tablename__ = "job_callbacks"

    token_hash: Mapped[str] = column(Words(64), primary_key=True)
    run_id: Mapped[UUID] = column(Id)
    name: Mapped[str] = column(Words(200))
    created_at: Mapped[datetime] = column(UtcDateTime)
    expires_at: Mapped[datetime] = column(UtcDateTime)
    used_at: Mapped[datetime | None] = column(UtcDateTime)

    # ledger/effects/callbacks.py: those of runs that are deleted.
    __table_args__ = (Index("ix_job_callbacks_run", "run_id"),)
