"""The tables of the ledger. Each constraint has a name; each partial index names the query it serves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
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
    false,
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


def _read_moment(value: datetime | str | None) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value if value.tzinfo is UTC else value.astimezone(UTC)


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

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _read_moment


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


LIVE_OF_SCHEDULE = "schedule is not null and state in ('queued', 'running')"
SUCCESS_OF_SCHEDULE = "schedule is not null and state = 'succeeded'"
DUE = "next_slot_at is not null and paused_at is null"
HELD = "held_slot_at is not null and paused_at is null"
"""Written out in queries too: SQLite takes a partial index only where it reads the same words."""


def _one_of(column: str, values: Any) -> str:
    return f"{column} in ({', '.join(sorted(repr(str(value)) for value in values))})"


LIVE_KEY = "key is not null and state in ('queued', 'running')"
"""Which runs hold their key, whatever its scope: the predicate of a unique index."""
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
    schedule: Mapped[str | None] = mapped_column(String(200))
    scheduled_for: Mapped[datetime | None] = mapped_column(UtcDateTime)
    has_followups: Mapped[bool] = mapped_column(Boolean, server_default=false())
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
        # ledger/keys.py, one live run a key.
        Index("uq_job_runs_live_key", "kind", "key", unique=True,
              postgresql_where=text(LIVE_KEY), sqlite_where=text(LIVE_KEY)),
        # ledger/schedules.py, the live runs of a schedule.
        Index("ix_job_runs_of_schedule", "schedule", postgresql_where=text(LIVE_OF_SCHEDULE),
              sqlite_where=text(LIVE_OF_SCHEDULE)),
        # ledger/schedules.py, the last success of a schedule.
        Index("ix_job_runs_schedule_success", "schedule", "finished_at", postgresql_where=text(SUCCESS_OF_SCHEDULE),
              sqlite_where=text(SUCCESS_OF_SCHEDULE)),
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


class JobSchedule(Base):
    """When runs of a job are made. ``next_slot_at`` is what a tick looks at; None: no slot will come.

    Slots up to ``decided_until`` are decided: each has its row. ``held_slot_at`` is the one slot that
    ``overlap=queue_one`` lets wait for an earlier run to end.
    """

    __tablename__ = "job_schedules"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    owner: Mapped[str] = mapped_column(String(10))
    module: Mapped[str | None] = mapped_column(String(300))
    place: Mapped[str | None] = mapped_column(String(500))
    kind: Mapped[str] = mapped_column(String(200))
    queue: Mapped[str] = mapped_column(String(100))
    priority: Mapped[int] = mapped_column(SmallInteger)
    arguments: Mapped[Any] = mapped_column(JsonText)
    arguments_version: Mapped[int] = mapped_column(Integer)
    max_attempts: Mapped[int] = mapped_column(Integer)
    definition: Mapped[Any] = mapped_column(JsonText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_by: Mapped[str | None] = mapped_column(String(200))
    pause_reason: Mapped[str | None] = mapped_column(String(500))
    decided_until: Mapped[datetime] = mapped_column(UtcDateTime)
    next_slot_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    held_slot_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_slot_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_fired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_run_id: Mapped[UUID | None] = mapped_column(Uuid)
    problem: Mapped[str | None] = mapped_column(String(500))

    __table_args__ = (
        CheckConstraint("owner in ('code', 'operator')", name="owner"),
        CheckConstraint("(owner = 'code') = (module is not null)", name="module_exactly_when_code"),
        CheckConstraint("paused_at is not null or (paused_by is null and pause_reason is null)", name="pause_whole"),
        CheckConstraint("(last_slot_at is null) = (last_fired_at is null)", name="last_whole"),
        # ledger/schedules.py, what is due: a tick costs that, not what exists.
        Index("ix_job_schedules_due", "next_slot_at", postgresql_where=text(DUE), sqlite_where=text(DUE)),
        # ledger/schedules.py, held slots.
        Index("ix_job_schedules_held", "name", postgresql_where=text(HELD), sqlite_where=text(HELD)),
    )


class JobScheduleSlot(Base):
    """What became of one slot: written once, with the run that it made, in one transaction: the proof."""

    __tablename__ = "job_schedule_slots"

    schedule: Mapped[str] = mapped_column(String(200), primary_key=True)
    slot_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    state: Mapped[str] = mapped_column(String(10))
    why: Mapped[str] = mapped_column(String(200))
    run_id: Mapped[UUID | None] = mapped_column(Uuid)
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    older_missed: Mapped[int] = mapped_column(Integer, default=0)

    __table_args__ = (
        CheckConstraint("state in ('backfilled', 'fired', 'missed', 'skipped')", name="state"),
        CheckConstraint("(state in ('backfilled', 'fired')) = (run_id is not null)", name="run_exactly_when_fired"),
        CheckConstraint("older_missed >= 0", name="older_missed_from_zero"),
    )


class JobLeader(Base):
    """Who leads, by the database's clock. It saves effort and guards nothing."""

    __tablename__ = "job_leaders"

    role: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime)
    ticked_at: Mapped[datetime] = mapped_column(UtcDateTime)


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
