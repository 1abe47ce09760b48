"""What the ledger keeps of earlier moments: runs that existed then, their latest attempts, and operators' actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, or_, select

from jobs.database.models import JobAttempt, JobRun, OperatorAction, OperatorActionRun, aliased
from jobs.database.sql import Executor, dialect_of
from jobs.ledger.queries.conditions import of_names, of_the_rest
from jobs.ledger.queries.find import ATTEMPT_COLUMNS, RUN_COLUMNS, attempt_of, run_of
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.run_records import AttemptRecord, RunRecord


class ActionOnRun(NamedTuple):
    """An operator's action on a run: the run's state columns before and after, as JSON; None if it kept none."""

    began_at: datetime
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def runs_at(
    session: Executor, chosen: Selector, at: datetime, *, before: UUID | None = None, limit: int
) -> list[RunRecord]:
    """Runs that were there at ``at``, as they are now, the newest id first; ``before`` is the last id of a page.

    Of the selector, what does not change while a run lives: ids, kinds, queues, keys, tags, arguments, parents and
    batches.
    """
    lasting = replace(chosen, since=None, until=None, causes=(), fingerprints=(), errors=(), attempts=())
    dialect = dialect_of(session)
    # The first of the rest hides purged runs, and these may have been purged later.
    query = select(*RUN_COLUMNS).where(
        JobRun.created_at <= at,
        or_(JobRun.deleted_at.is_(None), JobRun.deleted_at > at),
        *of_names(lasting, dialect),
        *of_the_rest(lasting, dialect)[1:],
    )
    if chosen.ids:
        query = query.where(JobRun.id.in_(chosen.ids))
    if before is not None:
        query = query.where(JobRun.id < before)
    return [run_of(row) for row in session.execute(query.order_by(JobRun.id.desc()).limit(limit)).all()]


def latest_attempts(session: Executor, run_ids: Sequence[UUID], at: datetime) -> dict[UUID, AttemptRecord]:
    """The latest attempt of each of these runs that had begun at ``at`` and has ended since."""
    other = aliased(JobAttempt)
    latest = select(func.max(other.attempt)).where(other.run_id == JobAttempt.run_id, other.started_at <= at)
    rows = session.execute(
        select(*ATTEMPT_COLUMNS).where(
            JobAttempt.run_id.in_(list(run_ids)), JobAttempt.attempt == latest.scalar_subquery()
        )
    )
    return {one.run_id: one for one in map(attempt_of, rows)}


def actions_on(session: Executor, run_ids: Sequence[UUID]) -> dict[UUID, list[ActionOnRun]]:
    """What operators did to each of these runs, at any time, first to last; without what was skipped."""
    rows = session.execute(
        select(OperatorActionRun.run_id, OperatorAction.started_at, OperatorActionRun.before, OperatorActionRun.after)
        .join(OperatorAction, OperatorAction.id == OperatorActionRun.action_id)
        .where(OperatorActionRun.run_id.in_(list(run_ids)), OperatorActionRun.skipped.is_(None))
        .order_by(OperatorAction.id)
    )
    found: dict[UUID, list[ActionOnRun]] = {}
    for run_id, began_at, before, after in rows:
        found.setdefault(run_id, []).append(ActionOnRun(began_at, before, after))
    return found
