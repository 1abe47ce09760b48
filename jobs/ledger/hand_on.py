"""Hand on: what an attempt's end brings with it, in the same transaction: runs to enqueue, arguments to read next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Text, Update, Uuid, bindparam, cast, update

from jobs.ledger.insert import insert_runs
from jobs.ledger.records import Ending, Freed, NewRun, Settled
from jobs.models import JobRun, JsonText
from jobs.sql import Executor
from jobs.states import RunState


def hand_on(
    session: Executor, settled: Sequence[tuple[Ending, Settled]], *, now: datetime | None = None
) -> list[tuple[Ending, Settled]]:
    """Enqueue what the endings bring, and give retried runs their new arguments. ``settled``, with what follows."""
    runs: list[NewRun] = []
    found = []
    for ending, one in settled:
        if ending.then and one.state is not RunState.CANCELLED:
            root = ending.claim.root_id or one.run_id
            mine = [replace(run, parent_id=one.run_id, root_id=root) for run in ending.then]
            runs += mine
            freed = tuple(Freed(run.id, run.queue, run.priority, run.run_at) for run in mine)
            one = one._replace(followed_by=one.followed_by + freed)
        if ending.arguments is not None and one.state is RunState.QUEUED:
            session.execute(_rewrite(), {"run": one.run_id, "new_arguments": ending.arguments})
        found.append((ending, one))
    if runs:
        insert_runs(session, runs, now=now)
    return found


@cache
def _rewrite() -> Update:
    arguments: Any = cast(bindparam("new_arguments", type_=Text()), JsonText)
    return (
        update(JobRun)
        .where(JobRun.id == bindparam("run", type_=Uuid()))
        .values(arguments=arguments)
        .execution_options(synchronize_session=False)
    )
