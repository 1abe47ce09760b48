"""Parents: runs that another run waits for before it starts, and what their ends do to it.

Whoever ends a parent locks the rows of the runs that wait for it, in the order of their ids, and then reads the states
of all their parents. So of two parents that end at once, the second sees the first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, String, Update, Uuid, case, delete, func, select, text, update

from jobs.database.models import JobParent, JobRun
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into, ledger_now, one_of
from jobs.errors import EnqueueRefused
from jobs.ledger.batches.gather import CHILD_COLUMNS, Child, child_of
from jobs.ledger.history_rows import bring_back, has_history
from jobs.ledger.holds import NOT_HELD, held_now
from jobs.ledger.records import Freed, NewRun
from jobs.states import FINAL, LIVE, Hold, RunState, checked_move

HELD_ON = "parents"

_IDS = RowBatch("wanted", id=Uuid())
_REASONS = RowBatch("cancelled", id=Uuid(), reason=String())
_ROWS = RowBatch("parent", run_id=Uuid(), parent_id=Uuid(), position=Integer(), on_dead=String())
_CANCELLED = checked_move(RunState.QUEUED, RunState.CANCELLED)


def add_parents(session: Executor, runs: Sequence[NewRun], *, now: datetime | None = None) -> list[UUID]:
    """Let new ``runs`` wait for their parents. Returns those that are cancelled at once, for a parent that is dead.

    Raises:
        EnqueueRefused: a parent does not exist in this ledger.
    """
    wanted = sorted({parent for run in runs for parent in run.after})
    if not wanted:
        return []
    dialect = dialect_of(session)
    # Locked, so that none ends unseen; from now on their ends have effects.
    there = set(session.scalars(_mark(dialect), _IDS.rows(dialect, [(one,) for one in wanted])))
    missing = next((one for one in wanted if one not in there), None)
    if missing is not None and has_history(session):
        # They ended a while ago. Back in the hot table they stay, because a run names them.
        bring_back(session, [one for one in wanted if one not in there])
        there = set(session.scalars(_mark(dialect), _IDS.rows(dialect, [(one,) for one in wanted])))
        missing = next((one for one in wanted if one not in there), None)
    if missing is not None:
        raise EnqueueRefused(
            f"There is no run {missing} in this ledger, so none can start after it.",
            hint="Name runs that were enqueued here, and were not deleted.",
        )
    rows = [(run.id, parent, place, run.on_parent_dead) for run in runs for place, parent in enumerate(run.after)]
    session.execute(_write(dialect), _ROWS.rows(dialect, rows))
    dependents = [run.id for run in runs if run.after]
    session.execute(_hold(dialect), {**_IDS.rows(dialect, [(one,) for one in dependents]), "now": now})
    _, cancelled = look_at(session, dependents, now)
    return cancelled


def after_ends(
    session: Executor, run_ids: Collection[UUID], *, now: datetime | None = None
) -> tuple[dict[UUID, list[Freed]], list[UUID]]:
    """What the ends of these runs do to those that wait for them: which are ready, by parent, and which are cancelled.

    The cancelled ones have ended in this transaction as well: their own ends have effects.
    """
    dialect = dialect_of(session)
    rows = session.execute(_dependents(dialect), _IDS.rows(dialect, [(one,) for one in run_ids])).all()
    if not rows:
        return {}, []
    parent_of = {row.run_id: row.parent_id for row in rows}
    freed, cancelled = look_at(session, sorted(parent_of), now)
    by_parent: dict[UUID, list[Freed]] = {}
    for one in freed:
        by_parent.setdefault(parent_of[one.run_id], []).append(one)
    return by_parent, cancelled


def wait_again(session: Executor, run_ids: Sequence[UUID], *, now: datetime | None = None) -> set[UUID]:
    """Let runs that an operator reopened wait for those of their parents that are live. Returns those that wait."""
    dialect = dialect_of(session)
    live = session.scalars(_with_live_parents(dialect), _IDS.rows(dialect, [(one,) for one in run_ids])).all()
    if live:
        session.execute(_hold(dialect), {**_IDS.rows(dialect, [(one,) for one in live]), "now": now})
    return set(live)


def parents_of(session: Executor, run_id: UUID) -> list[Child]:
    """The parents of a run, in the order of ``after=``."""
    rows = session.execute(
        select(*CHILD_COLUMNS)
        .join(JobParent, JobParent.parent_id == JobRun.id)
        .where(JobParent.run_id == run_id)
        .order_by(JobParent.position)
    )
    return [child_of(row) for row in rows]


def forget_parents(session: Executor, run_ids: Sequence[UUID]) -> None:
    """Delete the names of the parents of runs that are deleted."""
    session.execute(delete(JobParent).where(JobParent.run_id.in_(list(run_ids))))


def look_at(session: Executor, run_ids: Sequence[UUID], now: datetime | None) -> tuple[list[Freed], list[UUID]]:
    """Free, cancel or leave those of these runs that wait for parents. Returns the freed, and the cancelled.

    The cancelled ones have ended in this transaction as well: their own ends have effects.
    """
    dialect = dialect_of(session)
    waiting = session.scalars(_lock(dialect), _IDS.rows(dialect, [(one,) for one in run_ids])).all()
    if not waiting:
        return [], []
    rows = session.execute(_states(dialect), _IDS.rows(dialect, [(one,) for one in waiting])).all()
    live, bad = set(), {}
    for row in rows:
        if row.state in LIVE:
            live.add(row.run_id)
        elif row.state in FINAL and row.state != RunState.SUCCEEDED:
            bad[row.run_id] = row
    to_cancel = [one for one in waiting if one in bad and bad[one].on_dead == "cancel"]
    if to_cancel:
        reasons = [(one, f"its parent {str(bad[one].parent_id)[-8:]} is {bad[one].state}") for one in to_cancel]
        session.execute(_cancel(dialect), {**_REASONS.rows(dialect, reasons), "now": now})
    ready = [
        one for one in waiting if one not in live and (one not in bad or bad[one].on_dead == "run")
    ]  # fmt: skip
    if not ready:
        return [], to_cancel
    freed = session.execute(_free(dialect), {**_IDS.rows(dialect, [(one,) for one in ready]), "now": now})
    return [Freed(*row) for row in freed], to_cancel


@cache
def _mark(dialect: str) -> Update:
    wanted = select(JobRun.id).where(one_of(dialect, JobRun.id, select(_IDS.table(dialect).c.id)))
    locked = wanted.order_by(JobRun.id).with_for_update().cte("locked")
    return update(JobRun).where(JobRun.id.in_(select(locked.c.id))).values(has_followups=True).returning(JobRun.id)


@cache
def _write(dialect: str) -> Any:
    new = _ROWS.table(dialect).c
    columns = {name: new[name] for name in ("run_id", "parent_id", "position", "on_dead")}
    rows = select(*columns.values()).where(text("true"))
    return (
        insert_into(dialect, JobParent)
        .from_select(list(columns), rows, include_defaults=False)
        .on_conflict_do_nothing()
    )


@cache
def _hold(dialect: str) -> Update:
    return (
        update(JobRun)
        .where(
            one_of(dialect, JobRun.id, select(_IDS.table(dialect).c.id)),
            JobRun.state == RunState.QUEUED.value,
            JobRun.hold.is_(None),
        )
        .values(held_now(Hold.WAITING, HELD_ON, due_at=JobRun.run_at))
    )


@cache
def _dependents(dialect: str) -> Select[*tuple[Any, ...]]:
    wanted = select(_IDS.table(dialect).c.id)
    return select(JobParent.run_id, JobParent.parent_id).where(one_of(dialect, JobParent.parent_id, wanted))


@cache
def _with_live_parents(dialect: str) -> Select[UUID]:
    wanted = select(_IDS.table(dialect).c.id)
    return (
        select(JobParent.run_id)
        .join(JobRun, JobRun.id == JobParent.parent_id)
        .where(one_of(dialect, JobParent.run_id, wanted), JobRun.state.in_(sorted(LIVE)))
        .distinct()
    )


@cache
def _lock(dialect: str) -> Select[UUID]:
    wanted = select(_IDS.table(dialect).c.id)
    return (
        select(JobRun.id)
        .where(
            one_of(dialect, JobRun.id, wanted),
            JobRun.state == RunState.QUEUED.value,
            JobRun.hold == Hold.WAITING.value,
            JobRun.held_on == HELD_ON,
        )
        .order_by(JobRun.id)
        .with_for_update()
    )


@cache
def _states(dialect: str) -> Select[*tuple[Any, ...]]:
    wanted = select(_IDS.table(dialect).c.id)
    return (
        select(JobParent.run_id, JobParent.parent_id, JobParent.on_dead, JobRun.state)
        .join(JobRun, JobRun.id == JobParent.parent_id)
        .where(one_of(dialect, JobParent.run_id, wanted))
        .order_by(JobParent.run_id, JobParent.position.desc())
    )


@cache
def _cancel(dialect: str) -> Update:
    cancelled = _REASONS.table(dialect).c
    return (
        update(JobRun)
        .where(JobRun.id == cancelled.id, _REASONS.among(dialect, JobRun.id, "id"))
        .values(
            **NOT_HELD,
            state=_CANCELLED,
            run_at=func.coalesce(JobRun.due_at, JobRun.held_at),
            finished_at=ledger_now(),
            state_at=ledger_now(),
            cancel_requested_at=ledger_now(),
            cancel_reason=cancelled.reason,
        )
    )


@cache
def _free(dialect: str) -> Update:
    return (
        update(JobRun)
        .where(one_of(dialect, JobRun.id, select(_IDS.table(dialect).c.id)))
        # At the time that it was enqueued for, if that is still to come.
        .values(**NOT_HELD, run_at=case((JobRun.due_at > ledger_now(), JobRun.due_at), else_=ledger_now()))
        .returning(JobRun.id, JobRun.queue, JobRun.priority, JobRun.run_at)
    )
