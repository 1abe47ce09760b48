"""Counts the waiting runs of a queue or a kind, up to a limit."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, Select, String, bindparam, func, literal_column, select

from jobs.database.models import JobRun
from jobs.database.sql import Executor


def count_waiting(session: Executor, what: str, name: str, *, most: int) -> int:
    """How many runs of a ``queue`` or ``kind`` have not started, or wait for another attempt; counted up to ``most``.

    Delayed and held runs count too. Reads at most ``most`` entries of one index, besides those of runs that left it and
    that the database has not removed yet.
    """
    return session.scalar(_OF[what], {"name": name, "most": most}) or 0


def _count(name: Any, *order: Any) -> Select[int]:
    queued = JobRun.state == literal_column("'queued'")
    # In the order of the index, so that the planner reads that one and stops at the limit.
    found = select(JobRun.id).where(queued, name == bindparam("name", type_=String())).order_by(name, *order)
    return select(func.count()).select_from(found.limit(bindparam("most", type_=Integer())).subquery())


_OF = {
    "queue": _count(JobRun.queue, JobRun.priority, JobRun.run_at, JobRun.id),
    "kind": _count(JobRun.kind, JobRun.queue, JobRun.state_at, JobRun.id),
}
