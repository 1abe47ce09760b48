"""Makes batches, adds members to them, and cancels them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, update

from jobs.database.models import JobBatch, JobRun
from jobs.database.sql import Executor, ledger_now
from jobs.errors import Conflict
from jobs.ledger.admission.admit_members import admit_members
from jobs.ledger.batches.counts import Delta, apply
from jobs.ledger.effects.followups import write_followups
from jobs.ledger.effects.steps import lease_lost
from jobs.ledger.records import FollowUp, Freed, NewRun


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch to make, with its members and callbacks. ``parent_id`` is the batch around it, which comes before it."""

    id: UUID
    name: str
    parent_id: UUID | None
    depth: int
    run_id: UUID | None
    members: Sequence[NewRun]
    callbacks: Sequence[FollowUp]
    enqueued_by: str | None
    correlation_id: str | None


def make_batches(
    session: Executor, batches: Sequence[NewBatch], *, may_copy: bool = False, now: datetime | None = None
) -> tuple[list[NewRun], list[Freed]]:
    """Insert batches with their members and callbacks, whole. A batch without members ends at once.

    Returns the members that were made (a member whose key an equal run holds is not), and the callbacks that are ready.

    Args:
        may_copy: the connection is our own, so its driver knows COPY.
    """
    deltas: dict[UUID, Delta] = {}
    made: list[NewRun] = []
    for one in batches:
        session.execute(
            insert(JobBatch).values(
                id=one.id, form="batch", name=one.name, run_id=one.run_id, parent_id=one.parent_id, depth=one.depth,
                generation=1, total=0, pending=0, dead=0, cancelled=0, has_callbacks=bool(one.callbacks),
                created_at=ledger_now(), sealed_at=ledger_now(), enqueued_by=one.enqueued_by,
                correlation_id=one.correlation_id,
            ),
            {"now": now},
        )  # fmt: skip
        write_followups(session, [(one.id, callback) for callback in one.callbacks], now=now)
        new = _insert(session, one.members, may_copy=may_copy, now=now)
        made += new
        deltas[one.id] = Delta(total=len(new), pending=len(new))
        if one.parent_id is not None:
            deltas[one.parent_id].add(Delta(total=1, pending=1))
    freed = apply(session, deltas, because_of={}, touch=True, now=now)
    return made, [one for some in freed.values() for one in some]


def add_members(
    session: Executor, batch_id: UUID, runs: Sequence[NewRun], *, member: tuple[UUID, UUID], now: datetime | None = None
) -> list[NewRun]:
    """Add ``runs`` to the batch of a run that performs: ``member`` is its id and token. Returns those that were made.

    Raises:
        LeaseLost: another attempt has the run.
        Conflict: the run is no member of the batch, or the batch was cancelled.
    """
    run_id, token = member
    holder = session.execute(
        select(JobRun.batch_id).where(JobRun.id == run_id, JobRun.token == token).with_for_update(read=True)
    ).one_or_none()
    if holder is None:
        raise lease_lost(run_id)
    if holder.batch_id != batch_id:
        raise Conflict(f"Run {run_id} is no member of batch {batch_id}.", hint="Only a member adds to its batch.")
    made = _insert(session, runs, may_copy=True, now=now)
    apply(session, {batch_id: Delta(total=len(made), pending=len(made))}, because_of={}, now=now)
    # Once the batch is locked: a cancel either came before, or waits for us and then finds the new members.
    if session.scalar(select(JobBatch.cancelled_at).where(JobBatch.id == batch_id)) is not None:
        raise Conflict(f"Batch {batch_id} was cancelled.", hint="Add nothing more to it.")
    return made


def mark_cancelled(session: Executor, batch_ids: Sequence[UUID], *, now: datetime | None = None) -> None:
    """Refuse further members of these batches. Cancel their members afterwards, in another transaction."""
    # Locked in the order of all who lock batches, so that they cannot deadlock.
    open_ones = session.scalars(
        select(JobBatch.id)
        .where(JobBatch.id.in_(list(batch_ids)), JobBatch.ended_at.is_(None), JobBatch.cancelled_at.is_(None))
        .order_by(JobBatch.depth.desc(), JobBatch.id)
        .with_for_update()
    ).all()
    session.execute(
        update(JobBatch).where(JobBatch.id.in_(open_ones)).values(cancelled_at=ledger_now()),
        {"now": now},
    )


def live_members(session: Executor, batch_ids: Sequence[UUID], *, after: UUID | None, limit: int) -> list[UUID]:
    """Members that have not ended, in the order of their ids; ``after`` is the last of the previous page."""
    query = select(JobRun.id).where(JobRun.batch_id.in_(list(batch_ids)), JobRun.finished_at.is_(None))
    if after is not None:
        query = query.where(JobRun.id > after)
    return list(session.scalars(query.order_by(JobRun.id).limit(limit)))


def _insert(session: Executor, runs: Sequence[NewRun], *, may_copy: bool, now: datetime | None) -> list[NewRun]:
    return [one.run for one in admit_members(session, runs, may_copy=may_copy, now=now) if one.created]
