"""Queues, kinds and workers: what is served, by whom, and how much of it ended under a target."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Float, Index

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Flag, JsonText, Number, SmallNumber, UtcDateTime, Words, one_of


class JobQueue(Base):
    """What operators set for a queue: a pause, a target, how many runs may wait, how long ended ones are kept.

    One without a row has none. ``retain`` is ``{"succeeded": 604800.0, "dead": null}``: seconds, null for ever.
    """

    __tablename__ = "job_queues"

    name: Mapped[str] = column(Words(100), primary_key=True)
    paused_at: Mapped[datetime | None] = column(UtcDateTime)
    paused_until: Mapped[datetime | None] = column(UtcDateTime)
    paused_by: Mapped[str | None] = column(Words(200))
    pause_reason: Mapped[str | None] = column(Words(500))
    latency_target_seconds: Mapped[int | None] = column(Number)
    max_waiting: Mapped[int | None] = column(Number)
    retain: Mapped[Any | None] = column(JsonText)
    success_target: Mapped[float | None] = column(Float)


class JobKind(Base):
    """What operators set for a kind: a pause, a target. A kind without a row has none."""

    __tablename__ = "job_kinds"

    name: Mapped[str] = column(Words(200), primary_key=True)
    paused_at: Mapped[datetime | None] = column(UtcDateTime)
    paused_until: Mapped[datetime | None] = column(UtcDateTime)
    paused_by: Mapped[str | None] = column(Words(200))
    pause_reason: Mapped[str | None] = column(Words(500))
    latency_target_seconds: Mapped[int | None] = column(Number)
    success_target: Mapped[float | None] = column(Float)


class JobTargetCount(Base):
    """How many runs of a queue or kind with a target ended before ``counted_at``, since it was first counted.

    One row a minute for some hours, then one an hour. A window's count is the difference of two rows.
    """

    __tablename__ = "job_target_counts"

    what: Mapped[str] = column(Words(5), primary_key=True)
    name: Mapped[str] = column(Words(200), primary_key=True)
    counted_at: Mapped[datetime] = column(UtcDateTime, primary_key=True)
    succeeded: Mapped[int] = column(BigInteger)
    dead: Mapped[int] = column(BigInteger)
    is_hourly: Mapped[bool] = column(Flag)

    __table_args__ = (
        CheckConstraint(one_of("what", ("kind", "queue")), name="what"),
        # ledger/targets/counts.py: rows that are no longer needed.
        Index("ix_job_target_counts_old", "is_hourly", "counted_at"),
    )


class JobPublishedKind(Base):
    """What the last worker that started knows of a kind: for callers that do not import the application."""

    __tablename__ = "job_published_kinds"

    kind: Mapped[str] = column(Words(200), primary_key=True)
    queue: Mapped[str] = column(Words(100))
    priority: Mapped[int] = column(SmallNumber)
    max_attempts: Mapped[int] = column(Number)
    arguments_version: Mapped[int] = column(Number)
    is_unique: Mapped[bool] = column(Flag)
    hold_seconds: Mapped[float | None] = column(Float)
    schema: Mapped[Any | None] = column(JsonText)
    max_argument_bytes: Mapped[int] = column(Number)
    published_at: Mapped[datetime] = column(UtcDateTime)
    retain_seconds: Mapped[float | None] = column(Float)
    latency_target_seconds: Mapped[int | None] = column(Number)
    success_target: Mapped[float | None] = column(Float)


class JobWorker(Base):
    """A worker process, its queues and kinds, and when it was last seen.

    ``codes`` is the release of each kind's class. ``chaos`` is the target that it was started for, if for any;
    ``process`` tells its process from a later one with the same ``pid``.
    """

    __tablename__ = "job_workers"

    name: Mapped[str] = column(Words(200), primary_key=True)
    host: Mapped[str] = column(Words(200))
    pid: Mapped[int] = column(Number)
    version: Mapped[str] = column(Words(40))
    queues: Mapped[Any] = column(JsonText)
    kinds: Mapped[Any] = column(JsonText)
    codes: Mapped[Any | None] = column(JsonText)
    threads: Mapped[int] = column(Number)
    busy: Mapped[int] = column(Number, default=0)
    started_at: Mapped[datetime] = column(UtcDateTime)
    seen_at: Mapped[datetime] = column(UtcDateTime)
    stopped_at: Mapped[datetime | None] = column(UtcDateTime)
    stop_requested_at: Mapped[datetime | None] = column(UtcDateTime)
    roll_requested_at: Mapped[datetime | None] = column(UtcDateTime)
    problem: Mapped[str | None] = column(Words(300))
    chaos: Mapped[str | None] = column(Words(40))
    process: Mapped[str | None] = column(Words(100))

    # ledger/workers.py: live workers.
    __table_args__ = (Index("ix_job_workers_seen", "seen_at"),)


class JobCodeRelease(Base):
    """A release of the application's code: its name, and of each kind the class's release and its time limit.

    ``kinds`` is ``{"SendInvoice": ["2:1f0c…:9ab4…", 600.0]}``; ``id`` is a hash of both.
    """

    __tablename__ = "job_code_releases"

    id: Mapped[str] = column(Words(32), primary_key=True)
    release: Mapped[str | None] = column(Words(100))
    kinds: Mapped[Any] = column(JsonText)
    first_seen_at: Mapped[datetime] = column(UtcDateTime)


class JobWorkerRelease(Base):
    """The release that a worker process runs. It outlives the worker's own row, for the attempts that name it."""

    __tablename__ = "job_worker_releases"

    worker: Mapped[str] = column(Words(200), primary_key=True)
    release_id: Mapped[str] = column(Words(32))
    started_at: Mapped[datetime] = column(UtcDateTime)

    __table_args__ = (
        # ledger/releases.py: those that no attempt names any more.
        Index("ix_job_worker_releases_started", "started_at"),
        # ledger/releases.py: releases that no worker process had.
        Index("ix_job_worker_releases_release", "release_id"),
    )
