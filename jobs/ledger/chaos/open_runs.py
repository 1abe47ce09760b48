"""Where runs are after chaos: those that have not ended, grouped by what they wait for, and those that have."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Integer, Select, bindparam, case, func, select

from jobs.database.models import JobAttempt, JobRun, UtcDateTime
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.states import FINAL, Hold, RunState

GRACE_SECONDS = 30.0
"""How long a due run or an expired lease may wait for a worker. Source: decision; sweeps take seconds."""
LATE, LOST = "late", "lease over"
_SINCE = bindparam("since", type_=UtcDateTime())
_LIMIT = bindparam("most", type_=Integer())


class OpenRuns(NamedTuple):
    """Runs of a queue and kind that have not ended, and what they wait for: a word of ``_word``."""

    word: str
    queue: str
    kind: str
    runs: int


class EndedRuns(NamedTuple):
    """Runs that ended in the period; ``cause`` says why they are dead."""

    state: str
    cause: str | None
    runs: int


def open_runs(session: Executor, *, limit: int = 10_000, now: datetime | None = None) -> list[OpenRuns]:
    """All runs that have not ended, in groups."""
    return [OpenRuns(*row) for row in session.execute(_open(), {**_grace(now), "most": limit})]


def examples_of(session: Executor, word: str, queue: str, *, limit: int = 5, now: datetime | None = None) -> list[UUID]:
    """Some of the runs of a queue that ``open_runs`` calls ``word``."""
    query = select(JobRun.id).where(_LIVE, JobRun.queue == queue, _word() == word).order_by(JobRun.id).limit(_LIMIT)
    return list(session.scalars(query, {**_grace(now), "most": limit}))


def ended_runs(session: Executor, *, since: datetime, limit: int = 100) -> list[EndedRuns]:
    """The runs that ended since then, in groups."""
    query = (
        select(JobRun.state, JobRun.cause, func.count())
        .where(JobRun.state.in_(sorted(FINAL)), JobRun.state_at >= _SINCE, JobRun.deleted_at.is_(None))
        .group_by(JobRun.state, JobRun.cause)
        .order_by(JobRun.state, JobRun.cause)
        .limit(_LIMIT)
    )
    return [EndedRuns(*row) for row in session.execute(query, {"since": since, "most": limit})]


def moving_queues(session: Executor, *, now: datetime | None = None) -> set[str]:
    """Queues of which a worker performs a run, or ended an attempt within ``GRACE_SECONDS``."""
    performed = select(JobRun.queue).where(JobRun.state == RunState.RUNNING, JobRun.lease_until >= ledger_now())
    ended = (
        select(JobRun.queue)
        .join(JobAttempt, JobAttempt.run_id == JobRun.id)
        .where(JobAttempt.finished_at >= _past(ledger_now()))
    )
    return set(session.scalars(performed.union(ended), _grace(now)))


_LIVE = JobRun.state.in_((RunState.QUEUED, RunState.RUNNING))


@cache
def _open() -> Select[str, str, str, int]:
    word = _word().label("word")
    grouped = (
        select(word, JobRun.queue, JobRun.kind, func.count()).where(_LIVE).group_by(word, JobRun.queue, JobRun.kind)
    )
    return grouped.order_by(word, JobRun.queue, JobRun.kind).limit(_LIMIT)


def _word() -> ColumnElement[str]:
    is_running = JobRun.state == RunState.RUNNING
    is_later = JobRun.run_at > ledger_now()
    return case(
        (is_running & (JobRun.lease_until >= ledger_now()), "running"),
        (is_running & (JobRun.lease_until < _past(ledger_now())), LOST),
        (is_running, "lease just over"),
        (is_later & (JobRun.hold == Hold.PARKED), "parked"),
        (is_later & (JobRun.hold == Hold.WAITING), "waiting"),
        (is_later & (JobRun.attempt > 0), "retrying"),
        (is_later, "scheduled"),
        (JobRun.run_at < _past(ledger_now()), LATE),
        else_="ready",
    )


def _past(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    return plus_seconds(moment, -bindparam("grace_seconds", type_=Float()))


def _grace(now: datetime | None) -> dict[str, Any]:
    return {"grace_seconds": GRACE_SECONDS, "now": now}
