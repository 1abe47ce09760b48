"""Queues and kinds: which there are, and who paused them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, literal_column, or_, select, update
from sqlalchemy.exc import IntegrityError

from jobs.ledger.selectors import ended_strands
from jobs.ledger.workers import live
from jobs.models import JobQueue, JobRun
from jobs.sql import Executor, ledger_now, plus_seconds
from jobs.states import FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause, as read."""

    name: str
    paused_at: datetime
    paused_until: datetime | None
    paused_by: str | None
    pause_reason: str | None


_COLUMNS = (JobQueue.name, JobQueue.paused_at, JobQueue.paused_until, JobQueue.paused_by, JobQueue.pause_reason)


def pauses(session: Executor, *, now: datetime | None = None, limit: int = 10_000) -> dict[str, Pause]:
    """The pauses that hold at this moment, by queue."""
    still = or_(JobQueue.paused_until.is_(None), JobQueue.paused_until > ledger_now())
    rows = session.execute(select(*_COLUMNS).where(JobQueue.paused_at.is_not(None), still).limit(limit), {"now": now})
    return {row.name: Pause(**row._mapping) for row in rows}


def pause(
    session: Executor,
    queue: str,
    *,
    by: str,
    reason: str | None,
    seconds: float | None = None,
    now: datetime | None = None,
) -> None:
    """Pause a queue, or pause it anew: nothing of it is claimed until it is resumed, or the time is over."""
    known = session.scalar(select(JobQueue.name).where(JobQueue.name == queue))
    if known is None:
        try:
            with session.begin_nested():
                session.execute(insert(JobQueue).values(name=queue))
        except IntegrityError:
            # Another operator wrote the row between our look and our insert.
            pass
    until = None if seconds is None else plus_seconds(ledger_now(), literal_column(repr(float(seconds))))
    session.execute(
        update(JobQueue)
        .where(JobQueue.name == queue)
        .values(paused_at=ledger_now(), paused_until=until, paused_by=by, pause_reason=reason)
        .execution_options(synchronize_session=False),
        {"now": now},
    )


def resume(session: Executor, queue: str) -> bool:
    """End a pause. Whether there was one."""
    row = session.execute(
        update(JobQueue)
        .where(JobQueue.name == queue, JobQueue.paused_at.is_not(None))
        .values(paused_at=None, paused_until=None, paused_by=None, pause_reason=None)
        .returning(JobQueue.name)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    return row is not None


def names_in_use(session: Executor, *, now: datetime | None = None) -> tuple[set[str], set[str]]:
    """Every queue and every kind that a run has, or that a live worker serves or knows; paused queues too."""
    queues: set[str] = set(pauses(session, now=now))
    kinds: set[str] = set()
    for state in FINAL:
        for queue, kind in ended_strands(session, state):
            queues.add(queue)
            kinds.add(kind)
    for state in ("queued", "running"):
        here = select(JobRun.queue, JobRun.kind).where(JobRun.state == literal_column(f"'{state}'")).distinct()
        for queue, kind in session.execute(here.limit(10_000)):
            queues.add(queue)
            kinds.add(kind)
    for worker in live(session, now=now):
        queues |= set(worker.queues)
        kinds |= set(worker.kinds)
    return queues, kinds
