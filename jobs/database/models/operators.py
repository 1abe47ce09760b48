"""The actions of operators."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Index,
    text,
)

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, JsonText, LongText, Number, UtcDateTime, Words


class OperatorAction(Base):
    """An operator's action: who, when, on which runs, why, and on how many."""

    __tablename__ = "operator_actions"

    id: Mapped[UUID] = column(Id, primary_key=True)
    verb: Mapped[str] = column(Words(20))
    actor: Mapped[str] = column(Words(200))
    target: Mapped[str] = column(LongText)
    selector: Mapped[Any | None] = column(JsonText)
    options: Mapped[Any | None] = column(JsonText)
    reason: Mapped[str | None] = column(Words(500))
    state: Mapped[str] = column(Words(12))
    started_at: Mapped[datetime] = column(UtcDateTime)
    finished_at: Mapped[datetime | None] = column(UtcDateTime)
    expected: Mapped[int] = column(Number, default=0)
    done: Mapped[int] = column(Number, default=0)
    skipped: Mapped[int] = column(Number, default=0)
    before: Mapped[Any | None] = column(JsonText)
    after: Mapped[Any | None] = column(JsonText)
    undoes: Mapped[UUID | None] = column(Id)
    undone_by: Mapped[UUID | None] = column(Id)
    # When its last batch was done: a running action that has not been seen for long has lost its process.
    seen_at: Mapped[datetime | None] = column(UtcDateTime)
    request_id: Mapped[str | None] = column(Words(100))

    __table_args__ = (
        CheckConstraint("state in ('failed', 'finished', 'interrupted', 'running')", name="state"),
        CheckConstraint("(state = 'running') = (finished_at is null)", name="finished_exactly_when_over"),
        # ledger/runs/prune.py: old actions.
        Index("ix_operator_actions_finished", "finished_at"),
    )


class OperatorActionRun(Base):
    """What an action did to one run, or why it did nothing, with the run's state columns before and after."""

    __tablename__ = "operator_action_runs"

    action_id: Mapped[UUID] = column(Id, primary_key=True)
    run_id: Mapped[UUID] = column(Id, primary_key=True)
    skipped: Mapped[str | None] = column(Words(200))
    new_run_id: Mapped[UUID | None] = column(Id)
    before: Mapped[Any | None] = column(JsonText)
    after: Mapped[Any | None] = column(JsonText)
    batch: Mapped[int | None] = column(Number)

    # ledger/operators/audit.py: actions on a run.
    __table_args__ = (Index("ix_operator_action_runs_run", "run_id"),)


class AuditLink(Base):
    """A link of the audit chain: a digest of rows of the audit, written in the transaction that writes the rows.

    ``seq`` and ``hash`` are its place in the chain, which it gets at most a second later; until then they are null. The
    hash covers the link and the hash of the link before it.
    """

    __tablename__ = "operator_audit_links"

    id: Mapped[UUID] = column(Id, primary_key=True)
    action_id: Mapped[UUID | None] = column(Id)
    part: Mapped[str] = column(Words(8))
    batch: Mapped[int | None] = column(Number)
    size: Mapped[int] = column(Number)
    digest: Mapped[str] = column(Words(64))
    row_digests: Mapped[str | None] = column(LongText)
    written_at: Mapped[datetime] = column(UtcDateTime)
    seq: Mapped[int | None] = column(Number)
    hash: Mapped[str | None] = column(Words(64))

    __table_args__ = (
        CheckConstraint("part in ('begun', 'ended', 'pruned', 'resumed', 'runs', 'start', 'undone')", name="part"),
        CheckConstraint("(seq is null) = (hash is null)", name="place_whole"),
        # ledger/operators/audit_chain.py: the chain in its order.
        Index("uq_operator_audit_links_seq", "seq", unique=True),
        # ledger/operators/audit_chain.py: links without a place yet.
        Index("ix_operator_audit_links_pending", "written_at", "id", postgresql_where=text("seq is null"),
              sqlite_where=text("seq is null")),
        # ledger/operators/audit_chain.py: the links of an action.
        Index("ix_operator_audit_links_action", "action_id"),
    )  # fmt: skip


class AuditHead(Base):
    """The last link of the chain, in one row; whoever adds to the chain locks it. Operators' actions never do."""

    __tablename__ = "operator_audit_head"

    id: Mapped[int] = column(Number, primary_key=True)
    seq: Mapped[int] = column(Number)
    hash: Mapped[str] = column(Words(64))
