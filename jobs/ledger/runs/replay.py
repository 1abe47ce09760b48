"""Replay: reopens a run that gave up, with a fresh budget. The attempt number continues."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import Update, Uuid, and_, bindparam, or_, select, update
from sqlalchemy.exc import IntegrityError

from jobs.database.models import JobRun, aliased
from jobs.database.sql import Executor, ledger_now
from jobs.errors import KeyBusy
from jobs.ledger.batches.counts import count_moved, members_of_batches
from jobs.ledger.batches.parents import wait_again
from jobs.ledger.records import Freed
from jobs.states import FAR, FINAL, LIVE, MOVES, RunState, checked_move

REPLAYABLE = tuple(state for state in RunState if state in FINAL and RunState.QUEUED in MOVES[state])
_QUEUED = checked_move(RunState.DEAD, RunState.QUEUED)
ATTEMPTS = 10
"""How often reopening is tried again when a key was released and taken meanwhile. Source: decision."""


def reopen(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> list[Freed]:
    """Put dead and cancelled runs back in their queues, due now. Returns those that moved.

    A run takes its key again: a run whose key a live run holds does not change, and of several with one key the one
    enqueued last is reopened.
    """
    for _ in range(ATTEMPTS):
        try:
            with session.begin_nested():
                members = members_of_batches(session, run_ids)
                rows = session.execute(_reopen(), {"wanted": list(run_ids), "now": now}).all()
                if members:
                    moved = [(*members[row.id], _QUEUED) for row in rows if row.id in members]
                    count_moved(session, moved, now=now)
                waiting = wait_again(session, [row.id for row in rows], now=now) if rows else set()
            # Those whose parents are live again wait for them: the ready index must not have them.
            return [Freed(row.id, row.queue, row.priority, FAR if row.id in waiting else row.run_at) for row in rows]
        except IntegrityError as error:
            # Another transaction enqueued with a key between our look and our write; the next look sees its run.
            if "uq_job_runs_live_key" not in str(error) and "job_runs.key" not in str(error):
                raise
    raise KeyBusy("A key changed hands again and again while its run was replayed.", hint="Try again.")


@cache
def _reopen() -> Update:
    ids = bindparam("wanted", expanding=True, type_=Uuid())
    other = aliased(JobRun)
    goes_first = and_(other.id.in_(ids), other.id > JobRun.id, other.state.in_(REPLAYABLE), other.deleted_at.is_(None))
    is_held = (
        select(other.id)
        .where(
            other.kind == JobRun.kind,
            other.key == JobRun.key,
            other.id != JobRun.id,
            or_(other.state.in_(sorted(LIVE)), goes_first),
        )
        .exists()
    )
    return (
        update(JobRun)
        .where(
            JobRun.id.in_(ids),
            JobRun.state.in_(REPLAYABLE),
            JobRun.deleted_at.is_(None),
            or_(JobRun.key.is_(None), ~is_held),
        )
        .values(
            state=_QUEUED,
            cause=None,
            charged=0,
            crashes=0,
            abandonments=0,
            run_at=ledger_now(),
            expires_at=None,
            finished_at=None,
            cancel_requested_at=None,
            cancel_reason=None,
            worker=None,
            state_at=ledger_now(),
        )
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at)
    )
