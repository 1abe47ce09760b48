"""Operations on queues for dramatiq's tools: flush, count messages, wait."""

from __future__ import annotations

import json
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, func, or_, select, update

from jobs.database.models import JobRun
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.holds import no_longer_held
from jobs.ledger.runs.end_effects import apply_end_effects
from jobs.states import RunState, checked_move

_WAITS = JobRun.state == RunState.QUEUED.value
_CANCELLED = checked_move(RunState.QUEUED, RunState.CANCELLED)


class TakenMessage(NamedTuple):
    """A run that was removed from its queue."""

    run_id: UUID
    kind: str
    arguments: str
    created_at: datetime


def cancel_waiting(session: Executor, queue: str, *, now: datetime | None = None) -> None:
    """Cancel every run that waits in ``queue``."""
    cancelled = session.execute(
        update(JobRun)
        .where(JobRun.queue == queue, _WAITS)
        .values(state=_CANCELLED, finished_at=ledger_now(), state_at=ledger_now(), **no_longer_held())
        .returning(JobRun.id, JobRun.has_followups),
        {"now": now},
    ).all()
    apply_end_effects(session, sorted(row.id for row in cancelled if row.has_followups), now=now)


def has_unfinished(session: Executor, queue: str) -> bool:
    """Whether a run of ``queue`` waits or is performed."""
    live = or_(_WAITS, JobRun.state == RunState.RUNNING.value)
    return bool(session.scalar(select(select(JobRun.id).where(JobRun.queue == queue, live).exists())))


def unfinished(session: Executor, queue: str) -> int:
    """How many runs of ``queue`` wait or are performed."""
    live = or_(_WAITS, JobRun.state == RunState.RUNNING.value)
    return int(session.scalar(select(func.count()).where(JobRun.queue == queue, live)) or 0)


def message_id(session: Executor, run_id: UUID) -> str | None:
    """The message's own id that a run was recorded with; None if it has none, or the run is gone."""
    arguments = session.scalar(select(JobRun.arguments).where(JobRun.id == run_id))
    return arguments.get("message_id") if isinstance(arguments, dict) else None


def take_next(session: Executor, queue: str, *, now: datetime | None = None) -> TakenMessage | None:
    """Cancel the run that is next in ``queue``; None if there is none."""
    next_one = (
        select(JobRun.id)
        .where(JobRun.queue == queue, _WAITS, JobRun.run_at <= ledger_now())
        .order_by(JobRun.priority, JobRun.run_at, JobRun.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    run_id = session.scalar(next_one, {"now": now})
    if run_id is None:
        return None
    row = session.execute(
        update(JobRun)
        .where(JobRun.id == run_id, _WAITS)
        .values(state=_CANCELLED, finished_at=ledger_now(), state_at=ledger_now(), **no_longer_held())
        .returning(JobRun.id, JobRun.kind, JobRun.arguments, JobRun.created_at, JobRun.has_followups),
        {"now": now},
    ).one()
    if row.has_followups:
        apply_end_effects(session, [row.id], now=now)
    return TakenMessage(row.id, row.kind, json.dumps(row.arguments), row.created_at)


def counts(session: Executor, queue: str, *, now: datetime | None = None) -> tuple[int, int, int]:
    """Numbers of runs of ``queue`` that are ready, that are delayed, and that are dead."""
    is_due = JobRun.run_at <= ledger_now()
    row = session.execute(
        select(
            func.count().filter(and_(_WAITS, is_due)),
            func.count().filter(and_(_WAITS, ~is_due)),
            func.count().filter(JobRun.state == RunState.DEAD.value),
        ).where(JobRun.queue == queue, JobRun.deleted_at.is_(None)),
        {"now": now},
    ).one()
    return int(row[0]), int(row[1]), int(row[2])
