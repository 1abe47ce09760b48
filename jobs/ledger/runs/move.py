"""Moves waiting runs to another queue, priority or time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Text, bindparam, cast, select, update

from jobs.database.models import JobRun
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.ledger.holds import NOT_HELD
from jobs.ledger.records import Freed
from jobs.states import RunState


def move(
    session: Executor,
    run_ids: Sequence[UUID],
    *,
    queue: str | None = None,
    priority: int | None = None,
    delay_seconds: float | None = None,
    now: datetime | None = None,
) -> list[Freed]:
    """Give queued runs another queue, priority or time; None leaves it. Returns those that are queued.

    A new time ends the hold of a held run.
    """
    values: dict[str, Any] = {}
    if queue is not None:
        values["queue"] = queue
    if priority is not None:
        values["priority"] = priority
    if delay_seconds is not None:
        values |= {**NOT_HELD, "run_at": plus_seconds(ledger_now(), bindparam("delay_seconds", type_=Float()))}
    if not values:
        values["queue"] = JobRun.queue
    rows = session.execute(
        update(JobRun)
        .where(JobRun.id.in_(list(run_ids)), JobRun.state == RunState.QUEUED)
        .values(**values)
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at),
        {"delay_seconds": delay_seconds, "now": now} if delay_seconds is not None else {"now": now},
    )
    return [Freed(*row) for row in rows]


def arguments_text(session: Executor, run_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The arguments of runs as the stored JSON text, exact to the last digit."""
    rows = session.execute(select(JobRun.id, cast(JobRun.arguments, Text)).where(JobRun.id.in_(list(run_ids))))
    return {row[0]: row[1] for row in rows}
