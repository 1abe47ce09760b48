"""Groups: runs that are enqueued by the transaction that ends the last message of a group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Float, Integer, Update, Uuid, bindparam, case, delete, select, update

from jobs.database.models import JobGroup, JobGroupMember
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now, plus_seconds
from jobs.ledger.records import Completion, NewRun

_DONE = RowBatch("done_members", id=Uuid(), group_id=Uuid())


def open_group(session: Executor, group_id: UUID, size: int, *, now: datetime | None = None) -> bool:
    """Begin a group of ``size`` messages; False if it exists already."""
    made = session.execute(
        insert_into(dialect_of(session), JobGroup)
        .values(id=group_id, size=size, done=0, changed_at=ledger_now())
        .on_conflict_do_nothing()
        .returning(JobGroup.id),
        {"now": now},
    ).first()
    return made is not None


def has_group(session: Executor, group_id: UUID) -> bool:
    """Whether the ledger counts this group."""
    return session.scalar(select(JobGroup.id).where(JobGroup.id == group_id)) is not None


def complete(
    session: Executor, completions: Iterable[tuple[Completion, UUID, UUID]], *, now: datetime | None = None
) -> list[NewRun]:
    """Count messages as done, each only once; returns the runs that completed groups enqueue.

    Args:
        completions: each with the run that ended, and the root of its lineage: the last one is the callbacks' parent.
    """
    told = {uuid5(one.group_id, one.message_id): (one, run_id, root_id) for one, run_id, root_id in completions}
    if not told:
        return []
    dialect = dialect_of(session)
    # In the order of ids, so that two processes that end messages of the same groups cannot deadlock.
    rows = [(member, told[member][0].group_id) for member in sorted(told)]
    counted: dict[UUID, list[UUID]] = {}
    for member in session.scalars(_mark_done(dialect), _DONE.rows(dialect, rows)):
        counted.setdefault(told[member][0].group_id, []).append(member)
    runs: list[NewRun] = []
    for group_id in sorted(counted):
        row = session.execute(_count(), {"group": group_id, "more": len(counted[group_id]), "now": now}).first()
        if row is not None and row.done == row.size:
            last, run_id, root_id = told[counted[group_id][-1]]
            runs += [replace(run, parent_id=run_id, root_id=root_id) for run in last.then]
    return runs


def prune_groups(session: Executor, *, after: timedelta, limit: int = 500, now: datetime | None = None) -> int:
    """Delete groups without activity for longer than ``after``; returns their number."""
    old = (
        select(JobGroup.id)
        .where(JobGroup.changed_at < plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float())))
        .order_by(JobGroup.changed_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids: Sequence[UUID] = session.scalars(old, {"after_seconds": after.total_seconds(), "now": now}).all()
    for model, column in ((JobGroupMember, JobGroupMember.group_id), (JobGroup, JobGroup.id)):
        if ids:
            session.execute(delete(model).where(column.in_(ids)))
    return len(ids)


@cache
def _mark_done(dialect: str) -> Any:
    new = _DONE.table(dialect).c
    # Without WHERE, SQLite takes what follows the select for a join.
    rows = select(new.id, new.group_id).where(new.id.is_not(None))
    statement = insert_into(dialect, JobGroupMember).from_select(["id", "group_id"], rows, include_defaults=False)
    return statement.on_conflict_do_nothing().returning(JobGroupMember.id)


@cache
def _count() -> Update:
    done = JobGroup.done + bindparam("more", type_=Integer())
    return (
        update(JobGroup)
        .where(JobGroup.id == bindparam("group", type_=Uuid()), JobGroup.done < JobGroup.size)
        .values(done=case((done > JobGroup.size, JobGroup.size), else_=done), changed_at=ledger_now())
        .returning(JobGroup.done, JobGroup.size)
    )
