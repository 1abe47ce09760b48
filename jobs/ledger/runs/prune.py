"""Prune: deletes rows whose retention time is over. Each function takes a limit and skips locked rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    tuple_,
)

from jobs.database.models import JobAttempt, JobRun, JobSchedule, OperatorAction, OperatorActionRun, aliased
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.ledger.batches.parents import forget_parents
from jobs.ledger.batches.prune import forget_gathers, is_read_later
from jobs.ledger.blobs.references import forget as forget_references
from jobs.ledger.effects.attempt_logs import forget_logs
from jobs.ledger.effects.callbacks import forget_callbacks
from jobs.ledger.effects.followups import forget_followups
from jobs.ledger.effects.signals import forget_signals
from jobs.ledger.effects.steps import forget_steps
from jobs.ledger.operators.audit_links import link_pruned
from jobs.states import RunState


def prune_ended(
    session: Executor,
    state: RunState,
    *,
    after: timedelta,
    name: tuple[str, str] | None = None,
    limit: int = 500,
    now: datetime | None = None,
) -> int:
    """Delete runs in the final ``state`` for longer than ``after``, with their other rows; returns how many.

    Of all, or of the queue and kind ``name``.

    Oldest first, purged ones last. A batch may be short though there are more: 0 means there are none. The newest
    success of a schedule stays, because metrics and alerts use it.
    """
    gone = 0
    for part in _ended_of(state):
        which = [*part, ~is_newest_success()]
        if name is not None:
            which += [JobRun.queue == name[0], JobRun.kind == name[1]]
        gone += _delete(session, which, JobRun.state_at, after=after, limit=limit - gone, now=now)
        if gone >= limit:
            break
    return gone


def prune_purged(session: Executor, *, after: timedelta, limit: int = 500, now: datetime | None = None) -> int:
    """Delete runs that were purged longer ago than ``after``, with all their rows; returns the number."""
    return _delete(session, [JobRun.deleted_at.is_not(None)], JobRun.deleted_at, after=after, limit=limit, now=now)


def prune_audit(session: Executor, *, after: timedelta, limit: int = 500, now: datetime | None = None) -> int:
    """Delete operators' actions that ended longer ago than ``after``; returns the number of rows.

    First their entries for each run, a batch at a time, then the actions themselves. The chain of the audit keeps their
    links, and gets one that says that the pruner deleted them.
    """
    values = {"after_seconds": after.total_seconds(), "limit": limit, "now": now}
    old = (
        select(OperatorAction.id)
        .where(OperatorAction.finished_at < _before())
        .order_by(OperatorAction.finished_at)
        .limit(bindparam("limit", type_=Integer()))
    )
    actions = session.scalars(old.with_for_update(skip_locked=True), values).all()
    if not actions:
        return 0
    link_pruned(session, actions)
    parts = tuple_(OperatorActionRun.action_id, OperatorActionRun.run_id)
    some = select(OperatorActionRun.action_id, OperatorActionRun.run_id).where(OperatorActionRun.action_id.in_(actions))
    gone = session.execute(
        delete(OperatorActionRun).where(parts.in_(some.limit(limit))).returning(OperatorActionRun.run_id)
    ).all()
    if gone:
        return len(gone)
    session.execute(delete(OperatorAction).where(OperatorAction.id.in_(actions)))
    return len(actions)


def _ended_of(state: RunState) -> list[list[ColumnElement[bool]]]:
    """Two ranges of indexes, each oldest first: the runs that lists show, and the purged ones."""
    here = [JobRun.state == literal_column(f"'{state.value}'"), JobRun.finished_at.is_not(None)]
    return [[*here, JobRun.deleted_at.is_(None)], [*here, JobRun.deleted_at.is_not(None)]]


def _delete(
    session: Executor,
    which: Sequence[ColumnElement[bool]],
    since: Any,
    *,
    after: timedelta,
    limit: int,
    now: datetime | None,
) -> int:
    # Locked before the delete: a concurrent replay or restore waits, and then finds no run.
    ids: Sequence[UUID] = session.scalars(
        select(JobRun.id)
        .where(*which, since < _before(), ~is_read_later())
        .order_by(since)
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True),
        {"after_seconds": after.total_seconds(), "limit": limit, "now": now},
    ).all()
    if not ids:
        return 0
    forget_references(session, ids, now=now)
    forget_logs(session, ids)
    forget_steps(session, ids)
    forget_signals(session, ids)
    forget_callbacks(session, ids)
    forget_gathers(session, ids)
    forget_parents(session, ids)
    forget_followups(session, ids)
    for model, column in ((JobAttempt, JobAttempt.run_id), (JobRun, JobRun.id)):
        session.execute(delete(model).where(column.in_(ids)))
    return len(ids)


def _before() -> Any:
    return plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float()))


def is_newest_success() -> ColumnElement[bool]:
    """Whether a succeeded run is the latest success of its schedule, if that schedule still exists."""
    other = aliased(JobRun)
    succeeded: ColumnElement[Any] = literal_column("'succeeded'")
    newest = (
        select(func.max(other.finished_at))
        .where(other.schedule == JobRun.schedule, other.schedule.is_not(None), other.state == succeeded)
        .correlate(JobRun)
        .scalar_subquery()
    )
    return and_(
        JobRun.schedule.is_not(None),
        JobRun.state == succeeded,
        exists(select(JobSchedule.name).where(JobSchedule.name == JobRun.schedule)),
        JobRun.finished_at == newest,
    )
