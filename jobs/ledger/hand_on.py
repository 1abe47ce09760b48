"""Hand on: what an attempt's end brings with it, in the same transaction: runs to enqueue, groups it completes,
arguments to read next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Update, Uuid, bindparam, cast, update

from jobs.ledger.groups import complete
from jobs.ledger.insert import insert_runs
from jobs.ledger.records import Completion, Ending, Freed, NewRun, Settled
from jobs.models import JobRun, JsonText
from jobs.sql import Executor
from jobs.states import Outcome, RunState


def hand_on(
    session: Executor, settled: Sequence[tuple[Ending, Settled]], *, now: datetime | None = None
) -> list[tuple[Ending, Settled]]:
    """Enqueue what the endings bring, and give retried runs their new arguments. ``settled``, with what follows."""
    runs: list[NewRun] = []
    completed: list[tuple[Completion, UUID, UUID]] = []
    found = []
    for ending, one in settled:
        root = ending.claim.root_id or one.run_id
        # A message that was skipped is cancelled by itself: what its hooks enqueued counts.
        if ending.then and (one.state is not RunState.CANCELLED or ending.outcome is Outcome.CANCELLED):
            mine = [replace(run, parent_id=one.run_id, root_id=root) for run in ending.then]
            runs += mine
            one = one._replace(followed_by=one.followed_by + _freed(mine))
        if one.state is RunState.SUCCEEDED:
            completed += [(part, one.run_id, root) for part in ending.completes]
        if ending.arguments is not None and one.state is RunState.QUEUED:
            session.execute(_rewrite(), {"run": one.run_id, "new_arguments": ending.arguments})
        found.append((ending, one))
    if completed and (callbacks := complete(session, completed, now=now)):
        runs += callbacks
        last = {run.parent_id: [other for other in callbacks if other.parent_id == run.parent_id] for run in callbacks}
        found = [
            (ending, one._replace(followed_by=one.followed_by + _freed(last.get(one.run_id, ()))))
            for ending, one in found
        ]
    if runs:
        insert_runs(session, runs, now=now)
    return found


def _freed(runs: Sequence[NewRun]) -> tuple[Freed, ...]:
    return tuple(Freed(run.id, run.queue, run.priority, run.run_at) for run in runs)


@cache
def _rewrite() -> Update:
    arguments: Any = cast(bindparam("new_arguments", type_=Text()), JsonText)
    return (
        update(JobRun)
        .where(JobRun.id == bindparam("run", type_=Uuid()))
        .values(arguments=arguments)
        .execution_options(synchronize_session=False)
    )
