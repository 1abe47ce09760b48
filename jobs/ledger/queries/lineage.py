"""Lineage: the runs that a run comes from, and those that come from it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from jobs.database.models import JobRun
from jobs.database.sql import Executor
from jobs.ledger.queries import find
from jobs.ledger.run_records import RunRecord


def origins(session: Executor, run: RunRecord) -> dict[str, RunRecord]:
    """``parent``, ``root`` and ``replayed_from``, if the run has them and they still exist; purged ones too."""
    named = {"parent": run.parent_id, "root": run.root_id, "replayed_from": run.replayed_from}
    wanted = {name: run_id for name, run_id in named.items() if run_id is not None}
    found = find.find_runs(session, list(dict.fromkeys(wanted.values())))
    return {name: found[run_id] for name, run_id in wanted.items() if run_id in found}


def children(session: Executor, run_id: UUID, *, after: UUID | None = None, limit: int = 50) -> list[RunRecord]:
    """The runs that it enqueued, first to last; ``after`` is the last id of the previous page."""
    return _page(session, JobRun.parent_id == run_id, after, limit)


def replays(session: Executor, run_id: UUID, *, after: UUID | None = None, limit: int = 50) -> list[RunRecord]:
    """The new runs that replays made from it, first to last."""
    return _page(session, JobRun.replayed_from == run_id, after, limit)


def _page(session: Executor, which: ColumnElement[bool], after: UUID | None, limit: int) -> list[RunRecord]:
    query = select(JobRun.id).where(which, JobRun.deleted_at.is_(None))
    if after is not None:
        query = query.where(JobRun.id > after)
    # Ordered by an expression, not the column: otherwise a planner may scan all ids to find the few.
    in_order = func.coalesce(JobRun.id, JobRun.id)
    ids: Sequence[UUID] = session.scalars(query.order_by(in_order).limit(limit)).all()
    found = find.find_runs(session, ids)
    return [found[one] for one in ids if one in found]
