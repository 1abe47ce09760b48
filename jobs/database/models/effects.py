"""What runs rely on: keys, steps and cursors, follow-ups, groups."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Index,
)

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, JsonText, Number, UtcDateTime, Words


class JobKey(Base):
    """A key that is held for longer than its run is live. It outlives its run and stays when runs are pruned."""

    __tablename__ = "job_keys"

    kind: Mapped[str] = column(Words(200), primary_key=True)
    key: Mapped[str] = column(Words(255), primary_key=True)
    run_id: Mapped[UUID] = column(Id)
    arguments_hash: Mapped[str] = column(Words(32))
    held_until: Mapped[datetime | None] = column(UtcDateTime)

    # ledger/admission/keys.py: keys that no run holds any more.
    __table_args__ = (Index("ix_job_keys_held_until", "held_until"),)


class JobStep(Base):
    """A named part of a run, kept across attempts: an effect with its intent and its end, a cursor, or a wait."""

    __tablename__ = "job_steps"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    name: Mapped[str] = column(Words(200), primary_key=True)
    form: Mapped[str] = column(Words(10))
    token: Mapped[UUID] = column(Id)
    attempt: Mapped[int] = column(Number)
    started_at: Mapped[datetime] = column(UtcDateTime)
    finished_at: Mapped[datetime | None] = column(UtcDateTime)
    result: Mapped[Any | None] = column(JsonText)

    __table_args__ = (CheckConstraint("form in ('cursor', 'effect', 'gather', 'sleep', 'wait')", name="form"),)


class JobFollowup(Base):
    """A run that is enqueued in the transaction that ends another run, or a batch. ``id`` is the id that it will have.

    ``generation`` is that of the batch, when its callback was enqueued.
    """

    __tablename__ = "job_followups"

    id: Mapped[UUID] = column(Id, primary_key=True)
    run_id: Mapped[UUID] = column(Id)
    on_state: Mapped[str] = column(Words(10))
    kind: Mapped[str] = column(Words(200))
    run: Mapped[Any] = column(JsonText)
    created_at: Mapped[datetime] = column(UtcDateTime)
    enqueued_at: Mapped[datetime | None] = column(UtcDateTime)
    generation: Mapped[int] = column(Number, server_default="1")

    __table_args__ = (
        CheckConstraint("on_state in ('cancelled', 'dead', 'ended', 'succeeded')", name="on_state"),
        # ledger/effects/followups.py: those of runs that end.
        Index("ix_job_followups_run", "run_id"),
    )


class JobGroup(Base):
    """A group of dramatiq messages, with the number of messages and of completed ones; its completion enqueues runs."""

    __tablename__ = "job_groups"

    id: Mapped[UUID] = column(Id, primary_key=True)
    size: Mapped[int] = column(Number)
    done: Mapped[int] = column(Number, default=0)
    changed_at: Mapped[datetime] = column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("done between 0 and size", name="done"),
        # ledger/effects/groups.py: groups without activity for long.
        Index("ix_job_groups_changed", "changed_at"),
    )


class JobGroupMember(Base):
    """A completed message of a group; ``id`` is derived from both, so that it is counted once."""

    __tablename__ = "job_group_members"

    id: Mapped[UUID] = column(Id, primary_key=True)
    group_id: Mapped[UUID] = column(Id)

    # ledger/effects/groups.py: members of deleted groups.
    __table_args__ = (Index("ix_job_group_members_group", "group_id"),)
