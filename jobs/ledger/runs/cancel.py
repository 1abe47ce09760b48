"""Cancel: at once for a waiting run; a flag for a running one, which has priority when its attempt ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import case, update

from jobs.database.models import JobRun
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.holds import no_longer_held
from jobs.ledger.limits.reassign import leave_slots
from jobs.ledger.records import Freed
from jobs.ledger.runs.end_effects import apply_end_effects
from jobs.states import LIVE, RunState, checked_move

_CANCELLED = checked_move(RunState.QUEUED, RunState.CANCELLED)


class CancelledRuns(NamedTuple):
    """The states of the runs that were live, and runs that this made ready; publish those after the commit."""

    states: dict[UUID, RunState]
    freed: list[Freed]


def cancel_runs(
    session: Executor, run_ids: Sequence[UUID], *, reason: str | None = None, now: datetime | None = None
) -> CancelledRuns:
    """Cancel the live ones, in one statement: at once those that wait, and a flag for those that are running."""
    is_queued = JobRun.state == RunState.QUEUED
    moved = session.execute(
        update(JobRun)
        .where(JobRun.id.in_(list(run_ids)), JobRun.state.in_(sorted(LIVE)))
        .values(
            state=case((is_queued, _CANCELLED), else_=JobRun.state),
            finished_at=case((is_queued, ledger_now()), else_=None),
            state_at=case((is_queued, ledger_now()), else_=JobRun.state_at),
            cancel_requested_at=ledger_now(),
            cancel_reason=reason,
            **no_longer_held(),
        )
        .returning(JobRun.id, JobRun.state, JobRun.has_followups),
        {"now": now},
    ).all()
    ended = sorted(row.id for row in moved if row.has_followups and row.state == RunState.CANCELLED)
    followed = apply_end_effects(session, ended, now=now) if ended else {}
    freed = [one for some in followed.values() for one in some]
    # A parked run that was just given a slot may be among them.
    freed += leave_slots(session, dict.fromkeys(row.id for row in moved if row.state == RunState.CANCELLED), now=now)
    return CancelledRuns({row.id: RunState(row.state) for row in moved}, freed)
