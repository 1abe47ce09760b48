"""Whether another worker has another release of a job's class, which may read what this one cannot."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Text, cast, select

from jobs.database.models import JobAttempt, JobWorker
from jobs.database.sql import Executor
from jobs.ledger.workers import LIVE_FOR, seen_within

MAX_WORKERS = 1000
"""Most worker processes that are compared. Source: as for those that are shown."""


def is_read_elsewhere(
    session: Executor, run_id: UUID, kind: str, *, code: str, refused_as: str, within: timedelta = LIVE_FOR
) -> bool:
    """Whether a live worker knows another release of ``kind`` than ``code``, and no such worker refused the run.

    Args:
        refused_as: the error type of attempts that could not read the run's arguments and released it.
    """
    by_worker = {
        name: (json.loads(found).get(kind) if found else None)
        for name, found in session.execute(
            select(JobWorker.name, cast(JobWorker.codes, Text)).where(
                JobWorker.name.in_(
                    select(JobAttempt.worker).where(JobAttempt.run_id == run_id, JobAttempt.error_type == refused_as)
                )
            )
        )
    }
    live = session.execute(
        select(cast(JobWorker.kinds, Text), cast(JobWorker.codes, Text))
        .where(seen_within(), JobWorker.stopped_at.is_(None))
        .order_by(JobWorker.started_at.desc())
        .limit(MAX_WORKERS),
        {"within_seconds": within.total_seconds(), "now": None},
    )
    # A worker of a release that does not report its codes counts as one with its own code.
    known = {(json.loads(found) if found else {}).get(kind) for kinds, found in live if kind in json.loads(kinds)}
    return bool(known - {code} - set(by_worker.values()))
