"""The releases of the application's code: recorded when a worker process starts, looked up by attempts that name it.

Attempts name their worker, so nothing is written for each of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Float, Integer, bindparam, delete, exists, select

from jobs.database.models import JobCodeRelease, JobWorker, JobWorkerRelease
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now, plus_seconds


class KindCode(NamedTuple):
    """What a release has of a kind: the release of its class (``version:schema:source``), and its soft time limit."""

    code: str
    timeout_seconds: float | None


class WorkerCode(NamedTuple):
    """The code of a worker process: ``JOBS_RELEASE``, if it was set, and its kinds."""

    release: str | None
    kinds: Mapping[str, KindCode]


def record_release(
    session: Executor,
    worker: str,
    *,
    release: str | None,
    kinds: Mapping[str, tuple[str, float | None]],
    now: datetime | None = None,
) -> None:
    """Record which code a worker process runs, when it starts; ``kinds`` has the values of a ``KindCode``."""
    content = json.dumps([release, {kind: list(kinds[kind]) for kind in sorted(kinds)}])
    release_id = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    dialect = dialect_of(session)
    stored = json.dumps({kind: list(kinds[kind]) for kind in sorted(kinds)})
    session.execute(
        insert_into(dialect, JobCodeRelease)
        .values(id=release_id, release=release, kinds=stored, first_seen_at=ledger_now())
        .on_conflict_do_nothing(),
        {"now": now},
    )
    session.execute(
        insert_into(dialect, JobWorkerRelease)
        .values(worker=worker, release_id=release_id, started_at=ledger_now())
        .on_conflict_do_nothing(),
        {"now": now},
    )


def find_releases(session: Executor, workers: Collection[str]) -> dict[str, WorkerCode]:
    """The code of these worker processes, by name; without those that reported none, or too long ago."""
    rows = session.execute(
        select(JobWorkerRelease.worker, JobCodeRelease.release, JobCodeRelease.kinds)
        .join(JobCodeRelease, JobCodeRelease.id == JobWorkerRelease.release_id)
        .where(JobWorkerRelease.worker.in_(sorted(workers)))
    )
    return {worker: WorkerCode(release, _read(kinds)) for worker, release, kinds in rows}


def forget_releases(session: Executor, *, after: timedelta, limit: int = 500, now: datetime | None = None) -> int:
    """Delete those of workers that started longer ago than ``after`` and are gone, and releases that none has."""
    old = (
        select(JobWorkerRelease.worker)
        .where(
            JobWorkerRelease.started_at < plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float())),
            ~exists().where(JobWorker.name == JobWorkerRelease.worker),
        )
        .limit(bindparam("limit", type_=Integer()))
    )
    values = {"after_seconds": after.total_seconds(), "limit": limit, "now": now}
    gone = session.execute(
        delete(JobWorkerRelease).where(JobWorkerRelease.worker.in_(old)).returning(JobWorkerRelease.release_id),
        values,
    ).scalars().all()  # fmt: skip
    if gone:
        session.execute(
            delete(JobCodeRelease).where(
                JobCodeRelease.id.in_(sorted(set(gone))),
                ~exists().where(JobWorkerRelease.release_id == JobCodeRelease.id),
            )
        )
    return len(gone)


def _read(stored: Any) -> dict[str, KindCode]:
    kinds = stored if isinstance(stored, dict) else {}
    return {
        kind: KindCode(str(told[0]), told[1])
        for kind, told in kinds.items()
        if isinstance(told, list) and len(told) == 2
    }
