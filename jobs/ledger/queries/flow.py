"""The flow of runs through queues in the last minutes: how many came, how many attempts ended, how long they took."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, Uuid, bindparam, select

from jobs.database.models import JobAttempt, JobRun, UtcDateTime
from jobs.database.sql import Executor, seconds_between
from jobs.ledger.moment import ledger_moment
from jobs.states import Outcome

WINDOW = timedelta(minutes=5)
"""How far back it looks. Source: decision; long enough for a rate, short enough to follow a day."""
MOST = 10_000
"""Most attempts, and most new runs, that are read: the latest. With more, the window is shorter."""
PARTS = 10
_CAME_BACK = (Outcome.FAILED.value, Outcome.TIMED_OUT.value, Outcome.CRASHED.value, Outcome.OUT_OF_MEMORY.value)


@dataclass(slots=True)
class Flow:
    """What went through one queue within ``seconds``."""

    seconds: float
    came: list[int] = field(default_factory=lambda: [0] * PARTS)
    """Runs that came, by equal parts of the window; the latest part first."""
    retried: int = 0
    took: list[float] = field(default_factory=list)
    """Seconds that each attempt took which ended."""


def read_flows(session: Executor, *, now: datetime | None = None) -> tuple[dict[str, Flow], float]:
    """The flow by queue, and the seconds that it covers. Reads at most ``MOST`` entries of two indexes."""
    moment = now or ledger_moment(session)
    ended = session.execute(_ended(), {"since": moment - WINDOW, "most": MOST}).all()
    # Ids are in the order of time, so the newest runs are at one end of the primary key.
    first = _first_id(moment - WINDOW)
    came = session.execute(_came(), {"first": first, "until": moment, "most": MOST}).all()
    seconds = WINDOW.total_seconds()
    if len(ended) >= MOST:
        seconds = min(seconds, max(1.0, (moment - min(row[3] for row in ended)).total_seconds()))
    flows: dict[str, Flow] = {}
    for queue, took, outcome, _ in ended:
        flow = flows.setdefault(queue, Flow(seconds))
        if took is not None:
            flow.took.append(max(0.0, took))
        flow.retried += outcome in _CAME_BACK
    width = WINDOW.total_seconds() / PARTS
    for queue, ago in came:
        part = min(PARTS - 1, max(0, int((ago or 0.0) / width)))
        flows.setdefault(queue, Flow(seconds)).came[part] += 1
    return flows, seconds


def _first_id(moment: datetime) -> UUID:
    """The smallest id that a run made at this moment can have: ids begin with the milliseconds since 1970."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


@cache
def _ended() -> Select[Any]:
    latest = (
        select(JobAttempt.run_id, JobAttempt.started_at, JobAttempt.finished_at, JobAttempt.outcome)
        .where(JobAttempt.finished_at >= bindparam("since", type_=UtcDateTime()))
        .order_by(JobAttempt.finished_at.desc())
        .limit(bindparam("most", type_=Integer()))
        .subquery()
    )
    took = seconds_between(latest.c.started_at, latest.c.finished_at)
    return select(JobRun.queue, took, latest.c.outcome, latest.c.finished_at).join(latest, latest.c.run_id == JobRun.id)


@cache
def _came() -> Select[str, float]:
    ago = seconds_between(JobRun.created_at, bindparam("until", type_=UtcDateTime()))
    newest = select(JobRun.queue, ago).where(JobRun.id >= bindparam("first", type_=Uuid()))
    return newest.order_by(JobRun.id.desc()).limit(bindparam("most", type_=Integer()))
