"""Schedules, the results of their slots, and which scheduler leads."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Index,
)
from sqlalchemy.sql import text

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import DUE, HELD, Id, JsonText, Number, SmallNumber, UtcDateTime, Words


class JobSchedule(Base):
    """A schedule. ``next_slot_at`` is the column that a tick reads; None: it has no future slot.

    ``zone_data`` is the version of the ``tzdata`` package that computed it; None: not known.

    Slots up to ``decided_until`` are decided: each has its row. ``held_slot_at`` is the one slot that
    ``overlap=queue_one`` lets wait for an earlier run to end.
    """

    __tablename__ = "job_schedules"

    name: Mapped[str] = column(Words(200), primary_key=True)
    owner: Mapped[str] = column(Words(10))
    module: Mapped[str | None] = column(Words(300))
    place: Mapped[str | None] = column(Words(500))
    kind: Mapped[str] = column(Words(200))
    queue: Mapped[str] = column(Words(100))
    priority: Mapped[int] = column(SmallNumber)
    arguments: Mapped[Any] = column(JsonText)
    arguments_version: Mapped[int] = column(Number)
    max_attempts: Mapped[int] = column(Number)
    definition: Mapped[Any] = column(JsonText)
    created_at: Mapped[datetime] = column(UtcDateTime)
    changed_at: Mapped[datetime] = column(UtcDateTime)
    paused_at: Mapped[datetime | None] = column(UtcDateTime)
    paused_by: Mapped[str | None] = column(Words(200))
    pause_reason: Mapped[str | None] = column(Words(500))
    decided_until: Mapped[datetime] = column(UtcDateTime)
    next_slot_at: Mapped[datetime | None] = column(UtcDateTime)
    zone_data: Mapped[str | None] = column(Words(20))
    held_slot_at: Mapped[datetime | None] = column(UtcDateTime)
    last_slot_at: Mapped[datetime | None] = column(UtcDateTime)
    last_fired_at: Mapped[datetime | None] = column(UtcDateTime)
    last_run_id: Mapped[UUID | None] = column(Id)
    problem: Mapped[str | None] = column(Words(500))

    __table_args__ = (
        CheckConstraint("owner in ('code', 'operator')", name="owner"),
        CheckConstraint("(owner = 'code') = (module is not null)", name="module_exactly_when_code"),
        CheckConstraint("paused_at is not null or (paused_by is null and pause_reason is null)", name="pause_whole"),
        CheckConstraint("(last_slot_at is null) = (last_fired_at is null)", name="last_whole"),
        # ledger/schedules/schedules.py: due schedules. A tick costs as much as they, not as all schedules.
        Index("ix_job_schedules_due", "next_slot_at", postgresql_where=text(DUE), sqlite_where=text(DUE)),
        # ledger/schedules/schedules.py: held slots.
        Index("ix_job_schedules_held", "name", postgresql_where=text(HELD), sqlite_where=text(HELD)),
    )


class JobScheduleSlot(Base):
    """The result of one slot: written once, in one transaction with the run that it made, as proof."""

    __tablename__ = "job_schedule_slots"

    schedule: Mapped[str] = column(Words(200), primary_key=True)
    slot_at: Mapped[datetime] = column(UtcDateTime, primary_key=True)
    state: Mapped[str] = column(Words(10))
    why: Mapped[str] = column(Words(200))
    run_id: Mapped[UUID | None] = column(Id)
    decided_at: Mapped[datetime] = column(UtcDateTime)
    older_missed: Mapped[int] = column(Number, default=0)

    __table_args__ = (
        CheckConstraint("state in ('backfilled', 'fired', 'missed', 'skipped')", name="state"),
        CheckConstraint("(state in ('backfilled', 'fired')) = (run_id is not null)", name="run_exactly_when_fired"),
        CheckConstraint("older_missed >= 0", name="older_missed_from_zero"),
        # ledger/schedules/slots.py: old slots.
        Index("ix_job_schedule_slots_decided", "decided_at"),
    )


class JobLeader(Base):
    """The leading scheduler, by the database's clock. It saves work; nothing relies on it for correctness."""

    __tablename__ = "job_leaders"

    role: Mapped[str] = column(Words(40), primary_key=True)
    holder: Mapped[str] = column(Words(200))
    since: Mapped[datetime] = column(UtcDateTime)
    lease_until: Mapped[datetime] = column(UtcDateTime)
    ticked_at: Mapped[datetime] = column(UtcDateTime)
