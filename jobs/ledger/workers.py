"""Worker processes: which are alive, and which queues and kinds each serves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, Select, Text, bindparam, cast, delete, insert, select, update

from jobs.database.models import JobCodeRelease, JobWorker, JobWorkerRelease, read_json
from jobs.database.sql import Executor, ledger_now, plus_seconds

LIVE_FOR = timedelta(seconds=60)
"""A worker not seen for this long is not live. Source: six missed heartbeats of 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A worker process, as read."""

    name: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    kinds: tuple[str, ...]
    threads: int
    busy: int
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    stop_requested_at: datetime | None
    roll_requested_at: datetime | None
    problem: str | None
    """The call that keeps failing now: claims, say."""
    release: str | None
    """The release of the application's code that it runs: ``JOBS_RELEASE``."""

    @property
    def supervisor(self) -> str:
        """``host/pid`` of the supervisor that started it."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """What operators request of a worker process, and through it of its supervisor; None: nothing."""

    stop_at: datetime | None = None
    roll_at: datetime | None = None


def register(
    session: Executor,
    name: str,
    *,
    host: str,
    pid: int,
    version: str,
    queues: Sequence[str],
    kinds: Sequence[str],
    threads: int,
    codes: Mapping[str, str] | None = None,
    chaos: str | None = None,
    process: str | None = None,
    now: datetime | None = None,
) -> None:
    """Record that a worker process has started.

    Args:
        codes: its release of each kind; see ``jobs.definition.class_release``.
        chaos: the target of chaos that it was started for.
        process: what tells its process from a later one with the same ``pid``.
    """
    session.execute(
        insert(JobWorker).values(
            name=name,
            host=host,
            pid=pid,
            version=version,
            queues=json.dumps(list(queues)),
            kinds=json.dumps(list(kinds)),
            codes=json.dumps(codes) if codes is not None else None,
            threads=threads,
            busy=0,
            chaos=chaos,
            process=process,
            started_at=ledger_now(),
            seen_at=ledger_now(),
        ),
        {"now": now},
    )


def see(
    session: Executor, name: str, *, busy: int, problem: str | None = None, now: datetime | None = None
) -> WorkerRequest:
    """Record a worker process's heartbeat: busy threads and what fails. Returns what operators request of it."""
    row = session.execute(
        update(JobWorker)
        .where(JobWorker.name == name)
        .values(seen_at=ledger_now(), busy=busy, problem=problem)
        .returning(JobWorker.stop_requested_at, JobWorker.roll_requested_at),
        {"now": now},
    ).one_or_none()  # fmt: skip
    return WorkerRequest(*row) if row is not None else WorkerRequest()


def request_stop(session: Executor, names: Sequence[str], *, now: datetime | None = None) -> list[str]:
    """Ask worker processes to finish their runs and end. Returns those that had not stopped."""
    return _request(session, names, now=now, stop_requested_at=ledger_now())


def request_roll(session: Executor, names: Sequence[str], *, now: datetime | None = None) -> list[str]:
    """Ask the supervisors of worker processes for a rolling restart. Returns those that had not stopped.

    Each process passes it on; a supervisor that gets one request from several processes restarts once.
    """
    return _request(session, names, now=now, roll_requested_at=ledger_now())


def _request(session: Executor, names: Sequence[str], *, now: datetime | None, **values: Any) -> list[str]:
    asked = session.scalars(
        update(JobWorker)
        .where(JobWorker.name.in_(list(names)), JobWorker.stopped_at.is_(None))
        .values(values)
        .returning(JobWorker.name),
        {"now": now},
    )
    return sorted(asked)


def sign_off(session: Executor, name: str, *, now: datetime | None = None) -> None:
    """Record that a worker process has stopped."""
    session.execute(
        update(JobWorker).where(JobWorker.name == name).values(stopped_at=ledger_now(), seen_at=ledger_now(), busy=0),
        {"now": now},
    )  # fmt: skip


def live(
    session: Executor, *, within: timedelta = LIVE_FOR, limit: int = 1000, now: datetime | None = None
) -> list[WorkerRecord]:
    """Worker processes seen ``within`` the span that have not stopped, latest first."""
    rows = session.execute(_live(), {"within_seconds": within.total_seconds(), "most": limit, "now": now})
    return [WorkerRecord(**{**row._mapping, "queues": _names(row.queues), "kinds": _names(row.kinds)}) for row in rows]


def _names(stored: Any) -> tuple[str, ...]:
    """A list of names; empty if it cannot be read."""
    return tuple(one for one in stored if isinstance(one, str)) if isinstance(stored, list) else ()


@cache
def _live() -> Select[Any]:
    columns: list[Any] = [one for one in JobWorker.__table__.columns if one.name not in ("codes", "chaos", "process")]
    release = (
        select(JobCodeRelease.release)
        .join(JobWorkerRelease, JobWorkerRelease.release_id == JobCodeRelease.id)
        .where(JobWorkerRelease.worker == JobWorker.name)
    )
    columns.append(release.scalar_subquery().label("release"))
    latest = JobWorker.started_at.desc()
    live = select(*columns).where(seen_within(), JobWorker.stopped_at.is_(None)).order_by(latest)
    return live.limit(bindparam("most", type_=Integer()))


def kinds_known(session: Executor, *, within: timedelta, now: datetime | None = None) -> set[str]:
    """The kinds that any worker process seen ``within`` the span knows, stopped ones included."""
    rows = session.execute(
        select(cast(JobWorker.kinds, Text)).where(seen_within()).distinct().limit(1000),
        {"within_seconds": within.total_seconds(), "now": now},
    )
    return {kind for (kinds,) in rows for kind in _names(read_json(kinds))}


def forget_old(session: Executor, *, after: timedelta, limit: int = 500, now: datetime | None = None) -> int:
    """Delete rows of worker processes last seen longer ago than ``after``."""
    old = (
        select(JobWorker.name)
        .where(JobWorker.seen_at < plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float())))
        .limit(bindparam("limit", type_=Integer()))
    )
    gone = session.execute(
        delete(JobWorker).where(JobWorker.name.in_(old)).returning(JobWorker.name),
        {"after_seconds": after.total_seconds(), "limit": limit, "now": now},
    )  # fmt: skip
    return len(gone.all())


def seen_within() -> ColumnElement[bool]:
    """A condition that takes ``within_seconds``."""
    return JobWorker.seen_at >= plus_seconds(ledger_now(), -bindparam("within_seconds", type_=Float()))
