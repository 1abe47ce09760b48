"""The tables of the ledger. Each constraint has a name; each partial index names the query it serves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Text,
    Uuid,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql import text
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from jobs.states import FINAL, Cause, Outcome, RunState

MIN_PRIORITY, MAX_PRIORITY = -1000, 1000
"""Smaller first. Source: decision; priority and a millisecond moment must fit the 53 bits of a Redis score."""

CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


def write_moment(moment: datetime) -> str:
    """A moment as SQLite keeps it: UTC, of fixed width, so that text sorts as time does."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, always UTC. SQLite keeps it as fixed-width text, which sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """JSON that is written as text already checked, and read as Python values.

    PostgreSQL keeps it as ``json``, not ``jsonb``: what comes back is what went in, to the last digit.
    SQLite keeps it as text: a column declared JSON there would turn the text ``1.0`` into the number 1.
    """

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSON(none_as_null=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        def bind(value: str | None) -> str | None:
            return value

        return bind

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        def read(value: Any) -> Any:
            return json.loads(value) if isinstance(value, str) and dialect.name == "sqlite" else value

        return read


class id_tail(FunctionElement[str]):  # noqa: N801
    """The last six characters of an id, as people give it."""

    type = String()
    inherit_cache = True
    name = "id_tail"


@compiles(id_tail, "postgresql")
def _tail_postgresql(element: id_tail, compiler: Any, **kw: Any) -> str:
    return f'"right"({compiler.process(element.clauses, **kw)}::text, 6)'


@compiles(id_tail, "sqlite")
def _tail_sqlite(element: id_tail, compiler: Any, **kw: Any) -> str:
    return f"substr({compiler.process(element.clauses, **kw)}, -6)"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=CONVENTION)


def _one_of(column: str, values: Any) -> str:
    return f"{column} in ({', '.join(sorted(repr(str(value)) for value in values))})"


ENDED = "finished_at is not null"
"""Which runs have ended, in the words of the indexes: SQLite matches those of a query to them."""


class JobRun(Base):
    """One enqueued call of a job: a row is written before any message, and what it says is true."""

    __tablename__ = "job_runs"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str] = mapped_column(String(200))
    queue: Mapped[str] = mapped_column(String(100))
    priority: Mapped[int] = mapped_column(SmallInteger, default=0)
    arguments: Mapped[Any] = mapped_column(JsonText)
    arguments_version: Mapped[int] = mapped_column(Integer, default=1)
    arguments_hash: Mapped[str | None] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(10))
    cause: Mapped[str | None] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    charged: Mapped[int] = mapped_column(Integer, default=0)
    crashes: Mapped[int] = mapped_column(Integer, default=0)
    abandonments: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer)
    run_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    key: Mapped[str | None] = mapped_column(String(255))
    token: Mapped[UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worker: Mapped[str | None] = mapped_column(String(200))
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_reason: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    state_at: Mapped[datetime] = mapped_column(UtcDateTime)
    result: Mapped[Any | None] = mapped_column(JsonText)
    progress: Mapped[Any | None] = mapped_column(JsonText)
    error_type: Mapped[str | None] = mapped_column(String(200))
    error_message: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(String(16))
    tags: Mapped[Any | None] = mapped_column(JsonText)
    correlation_id: Mapped[str | None] = mapped_column(String(100))
    trace_context: Mapped[str | None] = mapped_column(String(200))
    enqueued_by: Mapped[str | None] = mapped_column(String(200))
    parent_id: Mapped[UUID | None] = mapped_column(Uuid)
    root_id: Mapped[UUID | None] = mapped_column(Uuid)
    replayed_from: Mapped[UUID | None] = mapped_column(Uuid)
    scheduled_for: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint(_one_of("state", RunState), name="state"),
        CheckConstraint(_one_of("cause", Cause), name="cause"),
        CheckConstraint("(state = 'running') = (token is not null)", name="token_exactly_when_running"),
        CheckConstraint("(state = 'running') = (lease_until is not null)", name="leased_exactly_when_running"),
        CheckConstraint(f"({_one_of('state', FINAL)}) = (finished_at is not null)", name="finished_exactly_when_final"),
        CheckConstraint("(state = 'dead') = (cause is not null)", name="cause_exactly_when_dead"),
        CheckConstraint("state <> 'running' or attempt > 0", name="running_counts_an_attempt"),
        CheckConstraint("charged >= 0 and charged <= attempt and max_attempts > 0", name="charged_within_attempts"),
        CheckConstraint(f"priority between {MIN_PRIORITY} and {MAX_PRIORITY}", name="priority_range"),
        # ledger/claim.py, due runs of a queue; upkeep/reconcile.py, overdue ones.
        Index("ix_job_runs_ready", "queue", "priority", "run_at", "id", postgresql_where=text("state = 'queued'"),
              sqlite_where=text("state = 'queued'")),
        # ledger/sweep.py, expired leases; what a dead process held.
        Index("ix_job_runs_leased", "lease_until", "worker", postgresql_where=text("state = 'running'"),
              sqlite_where=text("state = 'running'")),
        # ledger/sweep.py, runs that expired before their first start.
        Index("ix_job_runs_expiring", "expires_at",
              postgresql_where=text("state = 'queued' and expires_at is not null"),
              sqlite_where=text("state = 'queued' and expires_at is not null")),
        # ledger/selectors.py, runs that have ended, by state, queue and kind, in the order in which they did.
        # One entry a run, written when it ends: claims and new runs do not touch it.
        Index("ix_job_runs_ended", "state", "queue", "kind", "state_at", "id",
              postgresql_where=text(ENDED), sqlite_where=text(ENDED)),
        # ledger/selectors.py, the runs of an error group.
        Index("ix_job_runs_fingerprint", "fingerprint", "state_at", "id",
              postgresql_where=text("fingerprint is not null"), sqlite_where=text("fingerprint is not null")),
        # ledger/selectors.py, runs by key, ended ones too.
        Index("ix_job_runs_key", "key", postgresql_where=text("key is not null"),
              sqlite_where=text("key is not null")),
        # ledger/selectors.py, what a run enqueued.
        Index("ix_job_runs_parent", "parent_id", postgresql_where=text("parent_id is not null"),
              sqlite_where=text("parent_id is not null")),
    )  # fmt: skip


# ledger/find.py, short ids of runs that have ended; those of live ones are found in the index of their state.
Index("ix_job_runs_tail", id_tail(JobRun.id), postgresql_where=text(ENDED), sqlite_where=text(ENDED))


class JobAttempt(Base):
    """One try at a run: written once, when it ends, by whoever ends it. Then only a refusal is added."""

    __tablename__ = "job_attempts"

    run_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    token: Mapped[UUID] = mapped_column(Uuid)
    outcome: Mapped[str] = mapped_column(String(16))
    worker: Mapped[str | None] = mapped_column(String(200))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_type: Mapped[str | None] = mapped_column(String(200))
    error_message: Mapped[str | None] = mapped_column(Text)
    traceback: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(String(16))
    refused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refused_outcome: Mapped[str | None] = mapped_column(String(16))

    __table_args__ = (
        CheckConstraint(_one_of("outcome", Outcome), name="outcome"),
        CheckConstraint("attempt > 0", name="attempt_from_one"),
        CheckConstraint("(refused_at is null) = (refused_outcome is null)", name="refusal_whole"),
    )


class JobQueue(Base):
    """What operators say of a queue. A queue without a row is not paused."""

    __tablename__ = "job_queues"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_by: Mapped[str | None] = mapped_column(String(200))
    pause_reason: Mapped[str | None] = mapped_column(String(500))
    latency_target_seconds: Mapped[int | None] = mapped_column(Integer)


class JobKind(Base):
    """What operators say of a kind. A kind without a row is not paused."""

    __tablename__ = "job_kinds"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_by: Mapped[str | None] = mapped_column(String(200))
    pause_reason: Mapped[str | None] = mapped_column(String(500))


class JobWorker(Base):
    """A worker process, what it serves and knows, and when it was last seen."""

    __tablename__ = "job_workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str] = mapped_column(String(40))
    queues: Mapped[Any] = mapped_column(JsonText)
    kinds: Mapped[Any] = mapped_column(JsonText)
    threads: Mapped[int] = mapped_column(Integer)
    busy: Mapped[int] = mapped_column(Integer, default=0)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stop_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # ledger/workers.py, live workers.
    __table_args__ = (Index("ix_job_workers_seen", "seen_at"),)


class OperatorAction(Base):
    """What an operator did: who, when, to which runs, why, and how many."""

    __tablename__ = "operator_actions"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    verb: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(200))
    target: Mapped[str] = mapped_column(Text)
    selector: Mapped[Any | None] = mapped_column(JsonText)
    options: Mapped[Any | None] = mapped_column(JsonText)
    reason: Mapped[str | None] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(12))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expected: Mapped[int] = mapped_column(Integer, default=0)
    done: Mapped[int] = mapped_column(Integer, default=0)
    skipped: Mapped[int] = mapped_column(Integer, default=0)
    before: Mapped[Any | None] = mapped_column(JsonText)
    after: Mapped[Any | None] = mapped_column(JsonText)
    undoes: Mapped[UUID | None] = mapped_column(Uuid)
    undone_by: Mapped[UUID | None] = mapped_column(Uuid)

    __table_args__ = (
        CheckConstraint("state in ('failed', 'finished', 'interrupted', 'running')", name="state"),
        CheckConstraint("(state = 'running') = (finished_at is null)", name="finished_exactly_when_over"),
    )


class OperatorActionRun(Base):
    """What an action did to one run, or why it did nothing: the run's moving parts before and after."""

    __tablename__ = "operator_action_runs"

    action_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    run_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    skipped: Mapped[str | None] = mapped_column(String(200))
    new_run_id: Mapped[UUID | None] = mapped_column(Uuid)
    before: Mapped[Any | None] = mapped_column(JsonText)
    after: Mapped[Any | None] = mapped_column(JsonText)

    # ledger/audit.py, what was done to a run.
    __table_args__ = (Index("ix_operator_action_runs_run", "run_id"),)
