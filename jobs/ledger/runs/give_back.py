"""Releases a claim that was never started, so that only real starts count as attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Update, Uuid, case, update

from jobs.database.models import JobRun
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now
from jobs.ledger.limits.reassign import leave_slots
from jobs.ledger.records import Freed
from jobs.ledger.runs.end_effects import apply_end_effects
from jobs.states import RunState, checked_move

_HELD = RowBatch("held", id=Uuid(), token=Uuid())


class GivenBack(NamedTuple):
    """The runs that wait again, and all runs that have no slots of limits any more, with the tokens of their claims."""

    freed: list[Freed]
    gone: dict[UUID, UUID]


def give_back(session: Executor, held: Sequence[tuple[UUID, UUID]], *, now: datetime | None = None) -> list[Freed]:
    """Undo claims, by (run id, token), that were never started: restores the attempt number, charges nothing.

    Skips runs whose lease was lost meanwhile; a run that was cancelled ends as cancelled.
    Also returns the parked runs that their slots of limits go to.
    """
    done = give_back_claims(session, held, now=now)
    return done.freed + leave_slots(session, done.gone, now=now)


def give_back_claims(session: Executor, held: Sequence[tuple[UUID, UUID]], *, now: datetime | None = None) -> GivenBack:
    """The same, but the caller hands their slots on: a transaction calls ``leave_slots`` once, after all its moves."""
    if not held:
        return GivenBack([], {})
    dialect = dialect_of(session)
    rows = session.execute(_give_back(dialect), {**_HELD.rows(dialect, sorted(held)), "now": now}).all()
    apply_end_effects(
        session, [row.id for row in rows if row.has_followups and row.state == RunState.CANCELLED], now=now
    )
    tokens = dict(held)
    freed = [Freed(row.id, row.queue, row.priority, row.run_at) for row in rows if row.state == RunState.QUEUED]
    return GivenBack(freed, {row.id: tokens[row.id] for row in rows})


_CANCELLED = checked_move(RunState.RUNNING, RunState.CANCELLED)
_QUEUED = checked_move(RunState.RUNNING, RunState.QUEUED)


@cache
def _give_back(dialect: str) -> Update:
    held = _HELD.table(dialect)
    is_cancelled = JobRun.cancel_requested_at.is_not(None)
    return (
        update(JobRun)
        .where(JobRun.id == held.c.id, JobRun.token == held.c.token, _HELD.among(dialect, JobRun.id, "id"))
        .values(
            state=case((is_cancelled, _CANCELLED), else_=_QUEUED),
            finished_at=case((is_cancelled, ledger_now()), else_=None),
            token=None,
            lease_until=None,
            worker=None,
            attempt=JobRun.attempt - 1,
            started_at=case((JobRun.attempt > 1, JobRun.started_at), else_=None),
            state_at=ledger_now(),
        )
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at, JobRun.state, JobRun.has_followups)
    )
