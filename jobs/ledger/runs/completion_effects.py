"""Effects of an attempt's end in the same transaction: runs to enqueue, completed groups, new arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Update, Uuid, bindparam, cast, update

from jobs.database.models import JobRun, JsonText
from jobs.database.sql import Executor
from jobs.ledger.admission.insert import insert_runs
from jobs.ledger.effects.groups import complete
from jobs.ledger.records import AttemptResult, Completion, Freed, NewRun, RecordedAttempt
from jobs.states import Outcome, RunState


def apply_completion_effects(
    session: Executor, settled: Sequence[tuple[AttemptResult, RecordedAttempt]], *, now: datetime | None = None
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Enqueue what the results request, and give retried runs their new arguments.

    Returns ``settled`` with follow-ups.
    """
    runs: list[NewRun] = []
    completed: list[tuple[Completion, UUID, UUID]] = []
    found = []
    for attempt_result, one in settled:
        root = attempt_result.claim.root_id or one.run_id
        # A message that was skipped cancels itself: the runs that its hooks enqueued count.
        if attempt_result.then and (one.state is not RunState.CANCELLED or attempt_result.outcome is Outcome.CANCELLED):
            mine = [replace(run, parent_id=one.run_id, root_id=root) for run in attempt_result.then]
            runs += mine
            one = one._replace(followed_by=one.followed_by + _freed(mine))
        if one.state is RunState.SUCCEEDED:
            completed += [(part, one.run_id, root) for part in attempt_result.completes]
        if attempt_result.arguments is not None and one.state is RunState.QUEUED:
            session.execute(_rewrite(), {"run": one.run_id, "new_arguments": attempt_result.arguments})
        found.append((attempt_result, one))
    if completed and (callbacks := complete(session, completed, now=now)):
        runs += callbacks
        last = {run.parent_id: [other for other in callbacks if other.parent_id == run.parent_id] for run in callbacks}
        found = [
            (attempt_result, one._replace(followed_by=one.followed_by + _freed(last.get(one.run_id, ()))))
            for attempt_result, one in found
        ]
    if runs:
        insert_runs(session, runs, now=now)
    return found


def _freed(runs: Sequence[NewRun]) -> tuple[Freed, ...]:
    return tuple(Freed(run.id, run.queue, run.priority, run.run_at) for run in runs)


@cache
def _rewrite() -> Update:
    arguments: Any = cast(bindparam("new_arguments", type_=Text()), JsonText)
    return update(JobRun).where(JobRun.id == bindparam("run", type_=Uuid())).values(arguments=arguments)
