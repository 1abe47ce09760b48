"""How long the oldest ready run of a kind has waited, for kinds with a latency target."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, Text, func, literal_column, select

from jobs.database.models import JobKind, JobQueue, JobRun
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, seconds_between
from jobs.ledger.pauses import paused_names
from jobs.ledger.queries.plan_parts import waiting_names
from jobs.ledger.queries.selectors import Selector

MOST = 10_000
"""Runs of a kind and queue that are looked at, those that have waited longest. Source: decision; some milliseconds."""
_NAMES = RowBatch("names", kind=Text(), queue=Text())


def oldest_of_kinds(session: Executor, kinds: Collection[str], *, now: datetime | None = None) -> dict[str, float]:
    """Seconds since the oldest ready run was due, by kind. Paused kinds, and runs of paused queues, do not count."""
    names = waiting_names(session, Selector(kinds=tuple(sorted(kinds)))) if kinds else []
    if not names:
        return {}
    dialect = dialect_of(session)
    found: dict[str, float] = {}
    for kind, age in session.execute(_oldest(dialect), {**_NAMES.rows(dialect, names), "now": now}):
        if age is not None:
            found[kind] = max(age, found.get(kind, 0.0))
    return found


@cache
def _oldest(dialect: str) -> Select[Any]:
    names = _NAMES.table(dialect)
    first = (
        select(JobRun.run_at)
        .where(
            JobRun.state == literal_column("'queued'"),
            JobRun.kind == names.c.kind,
            JobRun.queue == names.c.queue,
        )
        .order_by(JobRun.state_at)
        .limit(MOST)
        .correlate(names)
        .subquery("first_of")
    )
    oldest = select(func.min(first.c.run_at)).where(first.c.run_at <= ledger_now()).correlate(names).scalar_subquery()
    return select(names.c.kind, seconds_between(oldest, ledger_now())).where(
        names.c.kind.not_in(paused_names(JobKind)),
        names.c.queue.not_in(paused_names(JobQueue)),
    )
