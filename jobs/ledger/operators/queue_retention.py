"""How long ended runs of a queue are kept, as operators set it: by state, before what classes and settings say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from jobs.database.models import JobQueue
from jobs.database.sql import Executor
from jobs.definition.options import MAX_RETAIN
from jobs.ledger.operators.queues import make_row
from jobs.states import FINAL, RunState

Kept = Mapping[RunState, timedelta | None]
"""How long ended runs of each state are kept; None is for ever."""
MOST = 10_000
"""Most queues that are read. Source: decision, as for pauses; a person sets each."""


def retained_queues(session: Executor) -> dict[str, dict[RunState, timedelta | None]]:
    """What is set, by queue; a state that is not there is not set."""
    found = select(JobQueue.name, JobQueue.retain).where(JobQueue.retain.is_not(None)).limit(MOST)
    return {queue: kept for queue, text in session.execute(found) if (kept := read_kept(text))}


def retention_of_queue(session: Executor, queue: str) -> dict[RunState, timedelta | None]:
    """What is set for one queue."""
    return read_kept(session.scalar(select(JobQueue.retain).where(JobQueue.name == queue)))


def set_retention(session: Executor, queue: str, kept: Kept) -> None:
    """Set all of it; with nothing in ``kept``, nothing is set any more."""
    if kept:
        make_row(session, JobQueue, queue)
    text = json.dumps(written_kept(kept)) if kept else None
    session.execute(update(JobQueue).where(JobQueue.name == queue).values(retain=text))


def written_kept(kept: Kept) -> dict[str, float | None]:
    """As JSON: seconds by state, null for ever."""
    return {state.value: None if span is None else span.total_seconds() for state, span in sorted(kept.items())}


def read_kept(written: Any) -> dict[RunState, timedelta | None]:
    """The opposite. What another program wrote and no state or time can be counts as not set."""
    found = written if isinstance(written, dict) else {}
    return {
        state: None if found[state] is None else timedelta(seconds=found[state])
        for state in sorted(FINAL)
        if state in found and _is_time(found[state])
    }


def _is_time(value: Any) -> bool:
    if value is None:
        return True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value <= MAX_RETAIN.total_seconds()
