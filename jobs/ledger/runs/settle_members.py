"""Settles plain successes of members of batches, and counts each batch once. PostgreSQL only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, all_, func, literal_column, select, union_all, update

from jobs.database.direct_statements import DirectConnection, DirectStatement
from jobs.database.models import JobBatch, JobFollowup, JobParent, JobRun
from jobs.database.sql import Executor, ledger_now, one_of
from jobs.ledger.done_batch import DONE, rows_of
from jobs.ledger.records import AttemptResult, RecordedAttempt
from jobs.ledger.runs.end_effects import apply_successes
from jobs.ledger.runs.settle_plain import recorded, settle_by, still_held, success, which_moved


def settle_counted(
    connection: DirectConnection,
    endings: Sequence[AttemptResult],
    *,
    worker: str,
    monotonic: float,
    now: datetime | None = None,
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Record those plain endings, each of another run, that only lower the count of a batch, and commit.

    Those that are not returned did not change: they end their batch, something else waits for them, or they are no
    members. ``settle_members`` handles these.

    Args:
        monotonic: this process's monotonic clock, now; as for ``settle``.
    """
    return settle_by(_COUNTED, connection, endings, worker=worker, monotonic=monotonic, now=now)


def settle_members(
    session: Executor,
    endings: Sequence[AttemptResult],
    *,
    worker: str,
    monotonic: float,
    now: datetime | None = None,
) -> list[tuple[AttemptResult, RecordedAttempt]]:
    """Record those of these plain endings, each of another run, whose runs are members of batches.

    Those that are not returned did not change.

    Args:
        monotonic: this process's monotonic clock, now; as for ``settle``.
    """
    ordered, given = rows_of(endings, worker=worker, monotonic=monotonic, now=now)
    rows = session.execute(_settle_members(), given).all()
    if not rows:
        return []
    batch_of: dict[UUID, UUID] = {row[1]: row[2] for row in rows}
    freed = apply_successes(session, batch_of, now=now)
    moment = rows[0][0]
    return [
        (one, recorded(one, moment, ago, tuple(freed.get(one.claim.run_id, ()))))
        for one, ago in ordered
        if one.claim.run_id in batch_of
    ]


@cache
def _settle_members() -> Executable:
    done = DONE.table("postgresql").c
    moved, tried = success(done, still_held(done, JobRun.batch_id.is_not(None)), JobRun.batch_id)
    return select(ledger_now(), moved.c.id, moved.c.batch_id).select_from(moved).add_cte(tried)


def _settle_counted(dialect: str) -> Executable:
    """Locks the runs, then their batches, lowers the counts of those that other members keep open, and ends the runs.

    A statement sees nothing that is committed while it waits for a lock. So a run that another transaction has just
    changed is left out: that may have been one that starts a run after it.
    """
    done = DONE.table(dialect).c
    version: ColumnElement[Any] = literal_column("job_runs.ctid")
    seen = select(JobRun.id, version.label("version")).where(DONE.among(dialect, JobRun.id, "id")).cte("seen")
    others = union_all(
        select(JobFollowup.run_id).where(DONE.among(dialect, JobFollowup.run_id, "id")),
        select(JobParent.parent_id).where(DONE.among(dialect, JobParent.parent_id, "id")),
    )
    held = (
        select(JobRun.batch_id, *done)
        .where(
            *still_held(done, JobRun.batch_id.is_not(None)),
            JobRun.id != all_(func.array(others.scalar_subquery())),
            seen.c.id == JobRun.id,
            seen.c.version == version,
        )
        .order_by(JobRun.id)
        .with_for_update(of=JobRun)
        .cte("held")
    )
    counts = select(held.c.batch_id, func.count().label("fewer")).group_by(held.c.batch_id).cte("counts")
    locked = (
        select(JobBatch.id)
        .where(one_of(dialect, JobBatch.id, select(counts.c.batch_id)))
        .order_by(JobBatch.depth.desc(), JobBatch.id)
        .with_for_update()
        .cte("locked")
    )
    lowered = (
        update(JobBatch)
        .where(
            JobBatch.id == counts.c.batch_id,
            one_of(dialect, JobBatch.id, select(locked.c.id)),
            JobBatch.pending > counts.c.fewer,
        )
        .values(pending=JobBatch.pending - counts.c.fewer)
        .returning(JobBatch.id)
        .cte("lowered")
    )
    moved, tried = success(
        held.c,
        [
            JobRun.id == held.c.id,
            one_of(dialect, held.c.batch_id, select(lowered.c.id)),
            DONE.among(dialect, JobRun.id, "id"),
        ],
    )
    return which_moved(moved, tried)


_COUNTED = DirectStatement(_settle_counted)
