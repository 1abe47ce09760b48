"""Makes a run in a private copy of a ledger performable once more, as its last attempt was."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, select, update

from jobs.database.models import JobAttempt, JobFollowup, JobRun, JobStep
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.effects.steps import CURSOR
from jobs.ledger.holds import NOT_HELD
from jobs.ledger.queries.find import RUN_COLUMNS, run_of
from jobs.ledger.run_records import RunRecord
from jobs.states import RunState

MAX_NEW = 1_000


def make_performable(session: Executor, run_id: UUID) -> None:
    """Put the run back into its queue, due, with the number of its last attempt, and its cursors at their start.

    Only for a copy that nothing else uses: it has no regard for leases and limits.
    """
    session.execute(
        update(JobRun)
        .where(JobRun.id == run_id)
        .values(
            {
                **NOT_HELD,
                "state": RunState.QUEUED.value,
                "cause": None,
                "token": None,
                "lease_until": None,
                "worker": None,
                "attempt": case((JobRun.attempt > 0, JobRun.attempt - 1), else_=0),
                "charged": 0,
                "crashes": 0,
                "abandonments": 0,
                "run_at": ledger_now(),
                "expires_at": None,
                "finished_at": None,
                "cancel_requested_at": None,
                "cancel_reason": None,
                "deleted_at": None,
            }
        ),
        {"now": None},
    )
    session.execute(delete(JobAttempt).where(JobAttempt.run_id == run_id))
    session.execute(delete(JobStep).where(JobStep.run_id == run_id, JobStep.form == CURSOR))


def run_ids(session: Executor) -> set[UUID]:
    """The runs in the copy."""
    return set(session.scalars(select(JobRun.id)))


def new_runs(session: Executor, known: set[UUID]) -> list[RunRecord]:
    """The runs that are in the copy now and are not ``known``, first to last."""
    rows = session.execute(select(*RUN_COLUMNS).order_by(JobRun.id).limit(MAX_NEW + len(known))).all()
    return [run for run in map(run_of, rows) if run.id not in known]


def followups_on(session: Executor, run_id: UUID, states: tuple[str, ...]) -> list[dict[str, Any]]:
    """The follow-ups of the run that its end in one of these states would enqueue."""
    query = select(JobFollowup.kind, JobFollowup.on_state).where(
        JobFollowup.run_id == run_id, JobFollowup.on_state.in_(states)
    )
    return [{"kind": row.kind, "on_state": row.on_state} for row in session.execute(query)]
