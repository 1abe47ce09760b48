"""Counts members of batches as they end or are reopened, in the transactions that move them.

A batch's row is the only place where its members meet, so it is locked: the deepest batches first, then by id. So two
transactions that end members of the same batches wait for each other and cannot deadlock. Many endings of one
transaction are one update of a batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, Update, Uuid, and_, bindparam, case, func, select, update

from jobs.database.models import JobBatch, JobRun
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, one_of
from jobs.ledger.batches.callbacks import fire, renew_callbacks
from jobs.ledger.effects.waits import free_waiting
from jobs.ledger.records import Freed
from jobs.states import FINAL, RunState

GATHER = "gather"
CHILDREN_PREFIX = "children:"
"""How ``held_on`` names the step of ``gather`` whose children a run waits for."""

_IDS = RowBatch("wanted", id=Uuid())
_DELTAS = RowBatch("delta", id=Uuid(), total=Integer(), pending=Integer(), dead=Integer(), cancelled=Integer())


@dataclass(slots=True)
class Delta:
    """How the counts of one batch change."""

    total: int = 0
    pending: int = 0
    dead: int = 0
    cancelled: int = 0

    def add(self, other: Delta) -> None:
        self.total += other.total
        self.pending += other.pending
        self.dead += other.dead
        self.cancelled += other.cancelled


def count_ended(
    session: Executor, run_ids: Sequence[UUID], *, lock: Sequence[UUID] = (), now: datetime | None = None
) -> dict[UUID, list[Freed]]:
    """Count these runs, which entered a final state in this transaction. Returns the runs that this made ready.

    By run that ended: the last of its batch brings the callbacks, or frees the run that waits for its children.

    Args:
        lock: batches that the caller reads next: they are locked with the others, in one order.
    """
    dialect = dialect_of(session)
    rows = session.execute(_members(dialect), _IDS.rows(dialect, [(one,) for one in run_ids])).all()
    deltas: dict[UUID, Delta] = {one: Delta() for one in lock}
    last: dict[UUID, UUID] = {}
    for row in rows:
        if row.state not in FINAL:
            continue
        deltas.setdefault(row.batch_id, Delta()).add(_ended_as(row.state))
        last[row.batch_id] = row.id
    return apply(session, deltas, because_of=last, now=now)


def count_succeeded(
    session: Executor, batch_of: Mapping[UUID, UUID], *, now: datetime | None = None
) -> dict[UUID, list[Freed]]:
    """``count_ended`` for runs that have all succeeded, by their batches."""
    counts = Counter(batch_of.values())
    if len(counts) == 1:
        # Most often one batch, of which members are left: nothing follows, and it needs no look before.
        ((batch_id, count),) = counts.items()
        if session.scalar(_lower(), {"batch": batch_id, "fewer": count}) is not None:
            return {}
    deltas = {batch_id: Delta(pending=-count) for batch_id, count in counts.items()}
    return apply(session, deltas, because_of={batch_id: run_id for run_id, batch_id in batch_of.items()}, now=now)


def count_moved(
    session: Executor, moves: Iterable[tuple[UUID, str, str]], *, now: datetime | None = None
) -> list[Freed]:
    """Count runs that an operator reopened or put back: by batch, the state before and the state after.

    A batch that had ended is reopened under a new generation. Returns the runs that this made ready.
    """
    deltas: dict[UUID, Delta] = {}
    for batch_id, before, after in moves:
        delta = deltas.setdefault(batch_id, Delta())
        if before in FINAL:
            ended = _ended_as(before)
            delta.add(Delta(pending=-ended.pending, dead=-ended.dead, cancelled=-ended.cancelled))
        if after in FINAL:
            delta.add(_ended_as(after))
    freed = apply(session, deltas, because_of={}, now=now)
    return [one for some in freed.values() for one in some]


def members_of_batches(session: Executor, run_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Those of these runs that are members: their batch and their state. Locks their rows, in the order of ids."""
    dialect = dialect_of(session)
    query = _members(dialect).order_by(JobRun.id).with_for_update()
    rows = session.execute(query, _IDS.rows(dialect, [(one,) for one in run_ids]))
    return {row.id: (row.batch_id, row.state) for row in rows}


def apply(
    session: Executor,
    deltas: Mapping[UUID, Delta],
    *,
    because_of: Mapping[UUID, UUID],
    touch: bool = False,
    now: datetime | None = None,
) -> dict[UUID, list[Freed]]:
    """Change the counts of batches and of those around them; fire what that causes.

    Args:
        because_of: by batch, a run whose end changed it.
        touch: also end those that have no members, because they are new.
    """
    dialect = dialect_of(session)
    todo = dict(deltas)
    places: dict[UUID, tuple[int, UUID | None]] = {}
    causes = dict(because_of)
    freed: dict[UUID, list[Freed]] = {}
    while todo:
        unknown = [one for one in todo if one not in places]
        if unknown:
            found = session.execute(_places(dialect), _IDS.rows(dialect, [(one,) for one in unknown])).all()
            places |= {row.id: (row.depth, row.parent_id) for row in found}
        # A batch whose row was deleted has nobody left to tell.
        todo = {one: delta for one, delta in todo.items() if one in places}
        if not todo:
            break
        deepest = max(places[one][0] for one in todo)
        level = sorted(one for one in todo if places[one][0] == deepest)
        outer: dict[UUID, Delta] = {}
        for change in _change(session, {one: todo.pop(one) for one in level}, touch, now):
            parent = places[change.id][1]
            cause = causes.get(change.id)
            for key, some in _cause(session, change, cause, now).items():
                freed.setdefault(key, []).extend(some)
            if parent is not None and (delta := change.outward()) is not None:
                outer.setdefault(parent, Delta()).add(delta)
                if cause is not None:
                    causes.setdefault(parent, cause)
        for parent, delta in outer.items():
            todo.setdefault(parent, Delta()).add(delta)
    return freed


@dataclass(frozen=True, slots=True)
class _Change:
    """A batch before and after: what it became in this transaction."""

    id: UUID
    form: str
    name: str
    run_id: UUID | None
    correlation_id: str | None
    has_callbacks: bool
    generation: int
    was_ended: bool
    is_ended: bool
    had_dead: bool
    has_dead: bool
    had_cancelled: bool
    has_cancelled: bool

    def outward(self) -> Delta | None:
        """How the batch around it changes: an inner batch counts as one member."""
        delta = Delta(
            pending=int(self.was_ended) - int(self.is_ended),
            dead=int(self.has_dead) - int(self.had_dead),
            cancelled=int(self.has_cancelled) - int(self.had_cancelled),
        )
        return delta if delta != Delta() else None


def _change(session: Executor, deltas: Mapping[UUID, Delta], touch: bool, now: datetime | None) -> list[_Change]:
    dialect = dialect_of(session)
    ids = _IDS.rows(dialect, [(one,) for one in deltas])
    before = {row.id: row for row in session.execute(_lock(dialect), ids)}
    rows = [
        (one, delta.total, delta.pending, delta.dead, delta.cancelled)
        for one, delta in deltas.items()
        if touch or delta != Delta()
    ]
    if not rows:
        return []
    after = session.execute(_update(dialect), {**_DELTAS.rows(dialect, rows), "now": now}).all()
    changes = []
    for row in sorted(after, key=lambda one: one.id.int):
        old = before[row.id]
        changes.append(
            _Change(
                row.id, row.form, row.name, row.run_id, row.correlation_id, bool(row.has_callbacks), row.generation,
                old.ended_at is not None, row.ended_at is not None, old.dead > 0, row.dead > 0,
                old.cancelled > 0, row.cancelled > 0,
            )
        )  # fmt: skip
    return changes


def _cause(session: Executor, change: _Change, cause: UUID | None, now: datetime | None) -> dict[UUID, list[Freed]]:
    """What a change of a batch causes, by the run that is to blame (the batch itself if there is none)."""
    freed: list[Freed] = []
    if change.was_ended and not change.is_ended and change.has_callbacks:
        renew_callbacks(session, change.id, generation=change.generation, now=now)
    fires = []
    if change.has_dead and not change.had_dead:
        fires.append(RunState.DEAD.value)
    if change.is_ended and not change.was_ended:
        fires.append("ended")
        if not change.has_dead and not change.has_cancelled:
            fires.append(RunState.SUCCEEDED.value)
        if change.form == GATHER and change.run_id is not None:
            freed += free_waiting(session, [(change.run_id, CHILDREN_PREFIX + change.name)], now=now)
    if fires and change.has_callbacks:
        freed += fire(session, change.id, fires, generation=change.generation, parent_id=change.run_id, now=now)
    return {cause or change.id: freed} if freed else {}


def _ended_as(state: str) -> Delta:
    return Delta(pending=-1, dead=int(state == RunState.DEAD), cancelled=int(state == RunState.CANCELLED))


@cache
def _members(dialect: str) -> Select[*tuple[Any, ...]]:
    wanted = select(_IDS.table(dialect).c.id)
    return select(JobRun.id, JobRun.batch_id, JobRun.state).where(
        one_of(dialect, JobRun.id, wanted), JobRun.batch_id.is_not(None)
    )


@cache
def _places(dialect: str) -> Select[*tuple[Any, ...]]:
    wanted = select(_IDS.table(dialect).c.id)
    return select(JobBatch.id, JobBatch.depth, JobBatch.parent_id).where(one_of(dialect, JobBatch.id, wanted))


@cache
def _lock(dialect: str) -> Select[*tuple[Any, ...]]:
    wanted = select(_IDS.table(dialect).c.id)
    return (
        select(JobBatch.id, JobBatch.ended_at, JobBatch.dead, JobBatch.cancelled)
        .where(one_of(dialect, JobBatch.id, wanted))
        .order_by(JobBatch.id)
        .with_for_update()
    )


@cache
def _lower() -> Update:
    """Count ended members of a batch that still has others."""
    fewer = bindparam("fewer", type_=Integer())
    return (
        update(JobBatch)
        .where(JobBatch.id == bindparam("batch", type_=Uuid()), JobBatch.pending > fewer)
        .values(pending=JobBatch.pending - fewer)
        .returning(JobBatch.id)
    )


@cache
def _update(dialect: str) -> Update:
    delta = _DELTAS.table(dialect).c
    pending = JobBatch.pending + delta.pending
    is_over = and_(pending <= 0, JobBatch.sealed_at.is_not(None))
    return (
        update(JobBatch)
        .where(JobBatch.id == delta.id, _DELTAS.among(dialect, JobBatch.id, "id"))
        .values(
            total=JobBatch.total + delta.total,
            # Never below zero: a wrong count must not keep a run from ending. The invariant is reported instead.
            pending=case((pending > 0, pending), else_=0),
            dead=case((JobBatch.dead + delta.dead > 0, JobBatch.dead + delta.dead), else_=0),
            cancelled=case((JobBatch.cancelled + delta.cancelled > 0, JobBatch.cancelled + delta.cancelled), else_=0),
            ended_at=case((is_over, func.coalesce(JobBatch.ended_at, ledger_now())), else_=None),
            generation=case(
                (and_(JobBatch.ended_at.is_not(None), ~is_over), JobBatch.generation + 1), else_=JobBatch.generation
            ),
        )
        .returning(
            JobBatch.id, JobBatch.form, JobBatch.name, JobBatch.run_id, JobBatch.correlation_id,
            JobBatch.has_callbacks, JobBatch.generation, JobBatch.ended_at, JobBatch.dead, JobBatch.cancelled,
        )
    )  # fmt: skip
