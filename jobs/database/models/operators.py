"""The actions of operators."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Index,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database.models.types import Base, Id, JsonText, LongText, Number, UtcDateTime, Words


class OperatorAction(Base):
    """An operator's action: who, when, on which runs, why, and on how many."""

    __tablename__ = "operator_actions"

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    verb: Mapped[str] = mapped_column(Words(20))
    actor: Mapped[str] = mapped_column(Words(200))
    target: Mapped[str] = mapped_column(LongText)
    selector: Mapped[Any | None] = mapped_column(JsonText)
    options: Mapped[Any | None] = mapped_column(JsonText)
    reason: Mapped[str | None] = mapped_column(Words(500))
    state: Mapped[str] = mapped_column(Words(12))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expected: Mapped[int] = mapped_column(Number, default=0)
    done: Mapped[int] = mapped_column(Number, default=0)
    skipped: Mapped[int] = mapped_column(Number, default=0)
    before: Mapped[Any | None] = mapped_column(JsonText)
    after: Mapped[Any | None] = mapped_column(JsonText)
    undoes: Mapped[UUID | None] = mapped_column(Id)
    undone_by: Mapped[UUID | None] = mapped_column(Id)
    # When its last batch was done: a running action that has not been seen for long has lost its process.
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    request_id: Mapped[str | None] = mapped_column(Words(100))

    __table_args__ = (
        CheckConstraint("state in ('failed', 'finished', 'interrupted', 'running')", name="state"),
        CheckConstraint("(state = 'running') = (finished_at is null)", name="finished_exactly_when_over"),
        # ledger/runs/prune.py: old actions.
        Index("ix_operator_actions_finished", "finished_at"),
    )


class OperatorActionRun(Base):
    """What an action did to one run, or why it did nothing, with the run's state columns before and after."""

    __tablename__ = "operator_action_runs"

    action_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    run_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    skipped: Mapped[str | None] = mapped_column(Words(200))
    new_run_id: Mapped[UUID | None] = mapped_column(Id)
    before: Mapped[Any | None] = mapped_column(JsonText)
    after: Mapped[Any | None] = mapped_column(JsonText)

    # ledger/operators/audit.py: actions on a run.
    __table_args__ = (Index("ix_operator_action_runs_run", "run_id"),)
