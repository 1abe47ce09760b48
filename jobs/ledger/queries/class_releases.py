"""The releases of job classes that live workers have: one may read arguments that another cannot."""

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
    # A worker of a release that does not report its codes counts as one with its own code.
    known = {found.get(kind) for found in live_codes(session, within=within) if kind in found}
    return bool(known - {code} - set(by_worker.values()))


def live_codes(session: Executor, *, within: timedelta = LIVE_FOR) -> list[dict[str, str | None]]:
    """The kinds of each live worker process, with its release of each; None if it does not report one."""
    live = session.execute(
        select(cast(JobWorker.kinds, Text), cast(JobWorker.codes, Text))
        .where(seen_within(), JobWorker.stopped_at.is_(None))
        .order_by(JobWorker.started_at.desc())
        .limit(MAX_WORKERS),
        {"within_seconds": within.total_seconds(), "now": None},
    )
    told = [(json.loads(kinds), json.loads(found) if found else {}) for kinds, found in live]
    return [{kind: found.get(kind) for kind in kinds} for kinds, found in told]
