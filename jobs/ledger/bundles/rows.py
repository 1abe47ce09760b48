"""Reads the rows that belong to some runs, and writes them into another ledger, a page at a time.

JSON is read and written as its stored text, so that no number in it changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, func, insert, or_, select, text

from jobs.database.models import (
    Base,
    JobAttempt,
    JobAttemptLog,
    JobBatch,
    JobBlob,
    JobCodeRelease,
    JobFollowup,
    JobKind,
    JobLimit,
    JobLimitSlot,
    JobParent,
    JobPublishedKind,
    JobQueue,
    JobRun,
    JobSchedule,
    JobScheduleSlot,
    JobSignal,
    JobStep,
    JobWorker,
    JobWorkerRelease,
    JsonText,
    OperatorAction,
    OperatorActionRun,
)
from jobs.database.sql import Executor

Row = dict[str, Any]
Model = type[Base]
PAGE = 500
MOST = 10_000
"""Most rows of a table that do not belong to a run. Source: decision; such tables are small."""
OF_RUN: tuple[tuple[Model, Any], ...] = (
    (JobAttempt, JobAttempt.run_id),
    (JobAttemptLog, JobAttemptLog.run_id),
    (JobStep, JobStep.run_id),
    (JobFollowup, JobFollowup.run_id),
    (JobParent, JobParent.run_id),
    (JobSignal, JobSignal.run_id),
    (JobLimitSlot, JobLimitSlot.run_id),
    (OperatorActionRun, OperatorActionRun.run_id),
)
"""The tables whose rows belong to a run."""
SLOTS = 100
ACTIONS = 100
"""Latest slots of a schedule, and latest actions of operators. Source: decision; a few screens."""


def run_rows(session: Executor, run_ids: Sequence[UUID]) -> list[Row]:
    """The rows of these runs."""
    return list(_rows(session, JobRun, JobRun.id.in_(list(run_ids))))


def rows_of_runs(session: Executor, model: Model, column: Any, run_ids: Sequence[UUID]) -> Iterator[Row]:
    """The rows of one of the tables ``OF_RUN`` that belong to these runs."""
    return _rows(session, model, column.in_(list(run_ids)), limit=None)


def blob_rows(session: Executor, ids: Sequence[UUID]) -> list[Row]:
    """The rows of these stored values, in the order of the ids; without their content."""
    found = {row["id"]: row for row in _rows(session, JobBlob, JobBlob.id.in_(list(ids)))}
    return [found[one] for one in ids if one in found]


def related_ids(session: Executor, run_ids: Sequence[UUID], *, limit: int) -> list[UUID]:
    """Runs that these came from, and runs that they enqueued or that replays of them made; without these."""
    ids = list(run_ids)
    origins = select(JobRun.parent_id, JobRun.root_id, JobRun.replayed_from).where(JobRun.id.in_(ids))
    found = dict.fromkeys(one for row in session.execute(origins) for one in row if one is not None)
    later = select(JobRun.id).where(or_(JobRun.parent_id.in_(ids), JobRun.replayed_from.in_(ids)))
    found |= dict.fromkeys(session.scalars(later.order_by(JobRun.id).limit(limit)))
    known = set(ids)
    return [one for one in found if one not in known][:limit]


def needed_ids(session: Executor, run_id: UUID, *, limit: int) -> list[UUID]:
    """Runs whose results a run reads when it performs: its parents, and the children that it gathered."""
    parents = select(JobParent.parent_id).where(JobParent.run_id == run_id)
    gathers = select(JobBatch.id).where(JobBatch.run_id == run_id)
    children = select(JobRun.id).where(JobRun.batch_id.in_(gathers)).order_by(JobRun.id)
    found = [*session.scalars(parents.limit(limit)), *session.scalars(children.limit(limit))]
    return list(dict.fromkeys(found))


def batch_rows(session: Executor, run_id: UUID) -> list[Row]:
    """The batches that a run made, and the one that it belongs to."""
    own = select(JobRun.batch_id).where(JobRun.id == run_id, JobRun.batch_id.is_not(None))
    return list(_rows(session, JobBatch, or_(JobBatch.run_id == run_id, JobBatch.id.in_(own))))


def shared_rows(
    session: Executor,
    *,
    actions: Collection[UUID],
    batches: Collection[UUID],
    kinds: Collection[str],
    digests: Collection[str],
    schedules: Collection[str],
    workers: Collection[str],
) -> Iterator[tuple[Model, Row]]:
    """The rows that explain the runs without belonging to one.

    Schedules, pauses, limits, live workers and those that attempts name, releases, batches, and actions: these and the
    latest.

    Args:
        digests: of the keys of limits that runs hold or wait for; limits without a key are all there.
        schedules: those whose latest slots are wanted.
    """
    latest = select(OperatorAction.id).order_by(OperatorAction.id.desc()).limit(ACTIONS)
    wanted: list[tuple[Model, ColumnElement[bool] | None]] = [
        (JobSchedule, None),
        (JobQueue, None),
        (JobKind, None),
        (JobPublishedKind, JobPublishedKind.kind.in_(sorted(kinds))),
        (JobLimit, or_(JobLimit.digest == "", JobLimit.digest.in_(sorted(digests)))),
        (JobWorker, or_(JobWorker.stopped_at.is_(None), JobWorker.name.in_(sorted(workers)))),
        (JobBatch, JobBatch.id.in_(sorted(batches, key=str))),
        (OperatorAction, or_(OperatorAction.id.in_(sorted(actions, key=str)), OperatorAction.id.in_(latest))),
        (JobScheduleSlot, and_(JobScheduleSlot.schedule.in_(sorted(schedules)), _is_latest())),
    ]
    for model, condition in wanted:
        for row in _rows(session, model, *([condition] if condition is not None else [])):
            yield model, row
    named = select(JobWorker.name).where(JobWorker.stopped_at.is_(None))
    is_named = or_(JobWorkerRelease.worker.in_(sorted(workers)), JobWorkerRelease.worker.in_(named))
    for row in _rows(session, JobWorkerRelease, is_named):
        yield JobWorkerRelease, row
    releases = select(JobWorkerRelease.release_id).where(is_named)
    for row in _rows(session, JobCodeRelease, JobCodeRelease.id.in_(releases)):
        yield JobCodeRelease, row


def write_rows(session: Executor, model: Model, rows: Sequence[Row]) -> None:
    """Insert rows as they were read; rows that are there already stay."""
    for start in range(0, len(rows), PAGE):
        session.execute(insert(model).prefix_with("OR IGNORE", dialect="sqlite"), rows[start : start + PAGE])


def drop_views(session: Executor) -> None:
    """Drop what a copy does not need: a reader refuses a file that has code of its own, which a view is."""
    session.execute(text("drop view if exists jobs_scale"))


def count_rows(session: Executor) -> dict[str, int]:
    """The number of rows in each table that has any."""
    counts = {
        name: session.scalar(select(func.count()).select_from(table)) or 0
        for name, table in sorted(Base.metadata.tables.items())
    }
    return {name: count for name, count in counts.items() if count}


def _rows(session: Executor, model: Model, *conditions: ColumnElement[bool], limit: int | None = MOST) -> Iterator[Row]:
    table: Any = model.__table__
    columns = [cast(one, Text).label(one.name) if isinstance(one.type, JsonText) else one for one in table.columns]
    query = select(*columns).where(*conditions).order_by(*table.primary_key.columns)
    if limit is not None:
        query = query.limit(limit)
    # A run may have many attempts, each with a traceback: they are read as they are written.
    for row in session.execute(query, execution_options={"yield_per": PAGE}):
        yield dict(row._mapping)


def _is_latest() -> ColumnElement[bool]:
    """Whether a slot is one of the latest of its schedule."""
    other = JobScheduleSlot.__table__.alias("later")
    before = select(other.c.slot_at).where(other.c.schedule == JobScheduleSlot.schedule)
    last = before.order_by(other.c.slot_at.desc()).offset(SLOTS).limit(1).scalar_subquery()
    return or_(last.is_(None), JobScheduleSlot.slot_at > last)
