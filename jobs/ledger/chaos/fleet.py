"""What chaos acts upon: live workers with the target that each was started for, and their connections."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import column, func, select, table

from jobs.database.models import JobWorker
from jobs.database.postgres.connect import chaos_name
from jobs.database.sql import Executor, dialect_of
from jobs.ledger.workers import LIVE_FOR, seen_within


class ChaosWorker(NamedTuple):
    """A live worker process: the target that it was started for, and what tells its process from a later one."""

    name: str
    host: str
    pid: int
    target: str | None
    process: str | None


def live_workers(session: Executor, *, limit: int = 10_000, now: datetime | None = None) -> list[ChaosWorker]:
    """Live worker processes, by name."""
    rows = session.execute(
        select(JobWorker.name, JobWorker.host, JobWorker.pid, JobWorker.chaos, JobWorker.process)
        .where(seen_within(), JobWorker.stopped_at.is_(None))
        .order_by(JobWorker.name)
        .limit(limit),
        {"within_seconds": LIVE_FOR.total_seconds(), "now": now},
    )
    return [ChaosWorker(*row) for row in rows]


def cut_connections(session: Executor, target: str, *, schema: str | None) -> int:
    """End the connections of the processes that were started for ``target``; none on SQLite. Returns their number.

    By their application name, of this database and this user alone, and never the caller's own.
    """
    if dialect_of(session) != "postgresql":
        return 0
    names = ("pid", "application_name", "datname", "usename")
    activity = table("pg_stat_activity", *(column(name) for name in names))
    ended = session.scalars(
        select(func.pg_terminate_backend(activity.c.pid)).where(
            activity.c.application_name == chaos_name(target, schema),
            activity.c.datname == func.current_database(),
            activity.c.usename == func.current_user(),
            activity.c.pid != func.pg_backend_pid(),
        )
    )
    return sum(map(bool, ended))
