"""Runs and their attempts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Index,
    false,
)
from sqlalchemy.sql import text

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import (
    ENDED,
    LIVE_KEY,
    LIVE_OF_SCHEDULE,
    OF_TENANT,
    ON_HOLD,
    PURGED,
    SHOWN,
    SUCCESS_OF_SCHEDULE,
    Flag,
    Id,
    JsonText,
    LongText,
    Number,
    SmallNumber,
    UtcDateTime,
    Words,
    id_tail,
    one_of,
)
from jobs.priority import MAX_PRIORITY, MIN_PRIORITY
from jobs.states import FINAL, HOLDS, Cause, Outcome, RunState


class JobRun(Base):
    """One enqueued call of a job. The row is written before any message, and it is the truth."""

    __tablename__ = "job_runs"

    id: Mapped[UUID] = column(Id, primary_key=True)
    kind: Mapped[str] = column(Words(200))
    queue: Mapped[str] = column(Words(100))
    priority: Mapped[int] = column(SmallNumber, default=0)
    arguments: Mapped[Any] = column(JsonText)
    arguments_version: Mapped[int] = column(Number, default=1)
    arguments_hash: Mapped[str | None] = column(Words(32))
    state: Mapped[str] = column(Words(10))
    cause: Mapped[str | None] = column(Words(20))
    attempt: Mapped[int] = column(Number, default=0)
    charged: Mapped[int] = column(Number, default=0)
    crashes: Mapped[int] = column(Number, default=0)
    abandonments: Mapped[int] = column(Number, default=0)
    max_attempts: Mapped[int] = column(Number)
    # Of a held run: when time alone makes it ready; FAR if it never does.
    run_at: Mapped[datetime] = column(UtcDateTime)
    hold: Mapped[str | None] = column(Words(8))
    held_at: Mapped[datetime | None] = column(UtcDateTime)
    held_on: Mapped[str | None] = column(Words(300))
    due_at: Mapped[datetime | None] = column(UtcDateTime)
    expires_at: Mapped[datetime | None] = column(UtcDateTime)
    key: Mapped[str | None] = column(Words(255))
    token: Mapped[UUID | None] = column(Id)
    lease_until: Mapped[datetime | None] = column(UtcDateTime)
    worker: Mapped[str | None] = column(Words(200))
    cancel_requested_at: Mapped[datetime | None] = column(UtcDateTime)
    cancel_reason: Mapped[str | None] = column(Words(500))
    created_at: Mapped[datetime] = column(UtcDateTime)
    started_at: Mapped[datetime | None] = column(UtcDateTime)
    finished_at: Mapped[datetime | None] = column(UtcDateTime)
    state_at: Mapped[datetime] = column(UtcDateTime)
    result: Mapped[Any | None] = column(JsonText)
    progress: Mapped[Any | None] = column(JsonText)
    error_type: Mapped[str | None] = column(Words(200))
    error_message: Mapped[str | None] = column(LongText)
    fingerprint: Mapped[str | None] = column(Words(16))
    tags: Mapped[Any | None] = column(JsonText)
    correlation_id: Mapped[str | None] = column(Words(100))
    trace_context: Mapped[str | None] = column(Words(200))
    enqueued_by: Mapped[str | None] = column(Words(200))
    parent_id: Mapped[UUID | None] = column(Id)
    root_id: Mapped[UUID | None] = column(Id)
    replayed_from: Mapped[UUID | None] = column(Id)
    schedule: Mapped[str | None] = column(Words(200))
    scheduled_for: Mapped[datetime | None] = column(UtcDateTime)
    # Its end has effects: follow-ups, or a batch that counts it.
    has_followups: Mapped[bool] = column(Flag, server_default=false())
    batch_id: Mapped[UUID | None] = column(Id)
    # Of a kind whose tenants take turns.
    tenant: Mapped[str | None] = column(Words(100))
    deleted_at: Mapped[datetime | None] = column(UtcDateTime)

    __table_args__ = (
        CheckConstraint(one_of("state", RunState), name="state"),
        CheckConstraint(one_of("cause", Cause), name="cause"),
        CheckConstraint("(state = 'running') = (token is not null)", name="token_exactly_when_running"),
        CheckConstraint("(state = 'running') = (lease_until is not null)", name="leased_exactly_when_running"),
        CheckConstraint(f"({one_of('state', FINAL)}) = (finished_at is not null)", name="finished_exactly_when_final"),
        CheckConstraint("(state = 'dead') = (cause is not null)", name="cause_exactly_when_dead"),
        CheckConstraint("state <> 'running' or attempt > 0", name="running_counts_an_attempt"),
        CheckConstraint("charged >= 0 and charged <= attempt and max_attempts > 0", name="charged_within_attempts"),
        CheckConstraint(f"priority between {MIN_PRIORITY} and {MAX_PRIORITY}", name="priority_range"),
        CheckConstraint(one_of("hold", HOLDS), name="hold"),
        # ledger/holds.py: held runs by what they are held on, the next one first.
        Index("ix_job_runs_held", "held_on", "priority", "due_at", "id",
              postgresql_where=text(ON_HOLD), sqlite_where=text(ON_HOLD)),
        # ledger/runs/claim.py: due runs of a queue. upkeep/reconcile.py: overdue ones.
        Index("ix_job_runs_ready", "queue", "priority", "run_at", "id", postgresql_where=text("state = 'queued'"),
              sqlite_where=text("state = 'queued'")),
        # ledger/fairness/tenants.py: waiting runs of each tenant of a queue.
        Index("ix_job_runs_tenant", "queue", "priority", "tenant", "run_at", "id",
              postgresql_where=text(OF_TENANT), sqlite_where=text(OF_TENANT)),
        # ledger/queries/plan_parts.py: waiting runs by name, the latest first. One entry per run, written where the
        # last one was. The kind comes first, so that the planner never chooses it for a claim, which has a queue and
        # hides its kinds.
        Index("ix_job_runs_waiting", "kind", "queue", "state_at", "id", postgresql_where=text("state = 'queued'"),
              sqlite_where=text("state = 'queued'")),
        # ledger/runs/sweep.py: expired leases, and runs of a dead process.
        Index("ix_job_runs_leased", "lease_until", "worker", postgresql_where=text("state = 'running'"),
              sqlite_where=text("state = 'running'")),
        # ledger/runs/sweep.py: runs that expired before their first start.
        Index("ix_job_runs_expiring", "expires_at",
              postgresql_where=text("state = 'queued' and expires_at is not null"),
              sqlite_where=text("state = 'queued' and expires_at is not null")),
        # ledger/admission/keys.py: one live run per key.
        Index("uq_job_runs_live_key", "kind", "key", unique=True,
              postgresql_where=text(LIVE_KEY), sqlite_where=text(LIVE_KEY)),
        # ledger/schedules/schedules.py: the live runs of a schedule.
        Index("ix_job_runs_of_schedule", "schedule", postgresql_where=text(LIVE_OF_SCHEDULE),
              sqlite_where=text(LIVE_OF_SCHEDULE)),
        # ledger/schedules/schedules.py: the last success of a schedule.
        Index("ix_job_runs_schedule_success", "schedule", "finished_at", postgresql_where=text(SUCCESS_OF_SCHEDULE),
              sqlite_where=text(SUCCESS_OF_SCHEDULE)),
        # ledger/queries/plan_parts.py: ended runs that lists show, in the order in which they ended. Like the next
        # index it has one entry per run, written when the run ends: claims and new runs do not touch it.
        Index("ix_job_runs_ended_at", "state", "state_at", "id",
              postgresql_where=text(SHOWN), sqlite_where=text(SHOWN)),
        # ledger/queries/plan_parts.py: the same by queue and kind; index-only counts of them.
        Index("ix_job_runs_ended", "state", "queue", "kind", "state_at", "id",
              postgresql_where=text(SHOWN), sqlite_where=text(SHOWN)),
        # ledger/queries/plan_parts.py: purged runs.
        Index("ix_job_runs_purged_list", "state_at", "id", postgresql_where=text(PURGED), sqlite_where=text(PURGED)),
        # ledger/queries/plan_parts.py: the runs of an error group.
        Index("ix_job_runs_fingerprint", "fingerprint", "state_at", "id",
              postgresql_where=text("fingerprint is not null"), sqlite_where=text("fingerprint is not null")),
        # ledger/queries/plan_parts.py: runs by key, ended ones too.
        Index("ix_job_runs_key", "key", postgresql_where=text("key is not null"),
              sqlite_where=text("key is not null")),
        # ledger/runs/prune.py: purged runs, the oldest purge first.
        Index("ix_job_runs_purged", "deleted_at", postgresql_where=text(PURGED), sqlite_where=text(PURGED)),
        # ledger/queries/plan_parts.py: runs that a run enqueued.
        Index("ix_job_runs_parent", "parent_id", postgresql_where=text("parent_id is not null"),
              sqlite_where=text("parent_id is not null")),
        # ledger/batches/find.py: the members of a batch, in the order of their ids.
        Index("ix_job_runs_batch", "batch_id", "id", postgresql_where=text("batch_id is not null"),
              sqlite_where=text("batch_id is not null")),
        # ledger/queries/lineage.py: replays of a run.
        Index("ix_job_runs_replayed_from", "replayed_from", postgresql_where=text("replayed_from is not null"),
              sqlite_where=text("replayed_from is not null")),
    )  # fmt: skip


# ledger/queries/find.py: short ids of ended runs; those of live ones are found in the index of their state.
Index("ix_job_runs_tail", id_tail(JobRun.id), postgresql_where=text(ENDED), sqlite_where=text(ENDED))


class JobAttempt(Base):
    """One attempt at a run, written once when it ends. After that only a refusal is added."""

    __tablename__ = "job_attempts"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    attempt: Mapped[int] = column(Number, primary_key=True)
    token: Mapped[UUID] = column(Id)
    outcome: Mapped[str] = column(Words(16))
    worker: Mapped[str | None] = column(Words(200))
    started_at: Mapped[datetime] = column(UtcDateTime)
    finished_at: Mapped[datetime] = column(UtcDateTime)
    retry_at: Mapped[datetime | None] = column(UtcDateTime)
    error_type: Mapped[str | None] = column(Words(200))
    error_message: Mapped[str | None] = column(LongText)
    traceback: Mapped[str | None] = column(LongText)
    fingerprint: Mapped[str | None] = column(Words(16))
    refused_at: Mapped[datetime | None] = column(UtcDateTime)
    refused_outcome: Mapped[str | None] = column(Words(16))

    __table_args__ = (
        CheckConstraint(one_of("outcome", Outcome), name="outcome"),
        CheckConstraint("attempt > 0", name="attempt_from_one"),
        CheckConstraint("(refused_at is null) = (refused_outcome is null)", name="refusal_whole"),
        # ledger/queries/series.py: attempts that ended, by minute: they end in about the order in which they are
        # written.
        Index("ix_job_attempts_finished", "finished_at", "outcome"),
    )
