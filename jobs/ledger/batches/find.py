"""Reads batches: one, lists of them, and the batch of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, func, select

from jobs.database.models import JobBatch, JobRun
from jobs.database.sql import Executor
from jobs.errors import Ambiguous, NotFound
from jobs.formats.short_id import ID_DIGITS, id_digits
from jobs.ledger.batches.callbacks import batch_of_callback
from jobs.ledger.batches.counts import GATHER

MAX_INNER = 1000
"""Most inner batches of one batch that an action covers at once. Source: decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """A batch, as read.

    ``pending`` of its ``total`` members have not ended; ``dead`` and ``cancelled`` of them are that now. An inner batch
    counts as one member. ``generation`` rises when a member of an ended batch is replayed.
    """

    id: UUID
    name: str
    run_id: UUID | None
    parent_id: UUID | None
    depth: int
    generation: int
    total: int
    pending: int
    dead: int
    cancelled: int
    created_at: datetime
    sealed_at: datetime | None
    ended_at: datetime | None
    cancelled_at: datetime | None
    enqueued_by: str | None
    correlation_id: str | None

    @property
    def succeeded(self) -> int:
        """Members that have succeeded."""
        return max(0, self.total - self.pending - self.dead - self.cancelled)

    @property
    def state(self) -> str:
        """``running``; and once it has ended ``succeeded``, ``dead`` or ``cancelled``, by its members."""
        if self.ended_at is None:
            return "running"
        if self.dead:
            return "dead"
        return "cancelled" if self.cancelled else "succeeded"


_COLUMNS = tuple(getattr(JobBatch, field.name) for field in fields(BatchRecord))


def find_batch(session: Executor, batch_id: UUID) -> BatchRecord | None:
    """The batch with this id; None if there is none. The children of a ``gather`` are no batch in this sense."""
    row = session.execute(select(*_COLUMNS).where(JobBatch.id == batch_id, JobBatch.form != GATHER)).one_or_none()
    return None if row is None else _record(row)


def find_named(session: Executor, text: str) -> BatchRecord:
    """The batch with this id, or with this beginning or end of an id.

    Raises:
        NotFound: there is none.
        Ambiguous: there are several.
    """
    plain = id_digits(text)
    if plain is None:
        raise NotFound(f"{text!r} is not the id of a batch.", hint="jobledger batches list shows them.")
    if len(plain) == ID_DIGITS:
        found = [one for one in [find_batch(session, UUID(plain))] if one is not None]
    else:
        digits: Any = func.replace(cast(JobBatch.id, Text), "-", "")
        query = select(*_COLUMNS).where(JobBatch.form == "batch", digits.like(f"{plain}%") | digits.like(f"%{plain}"))
        found = [_record(row) for row in session.execute(query.order_by(JobBatch.id).limit(6))]
    if not found:
        raise NotFound(f"There is no batch {text}.", hint="jobledger batches list shows them.")
    if len(found) > 1:
        matches = tuple(str(one.id) for one in found)
        raise Ambiguous(f"{text} is the id of several batches.", matches=matches, hint="Give more of it.")
    return found[0]


def list_batches(
    session: Executor,
    *,
    before: UUID | None = None,
    inside: UUID | None = None,
    is_running: bool = False,
    limit: int = 50,
) -> list[BatchRecord]:
    """Batches, the latest first; ``before`` is the last id of the previous page.

    Args:
        inside: those directly inside this batch; else those at the top.
        is_running: only those that have not ended.
    """
    query = select(*_COLUMNS).where(JobBatch.form == "batch")
    query = query.where(JobBatch.parent_id == inside if inside is not None else JobBatch.parent_id.is_(None))
    if before is not None:
        query = query.where(JobBatch.id < before)
    if is_running:
        query = query.where(JobBatch.ended_at.is_(None))
    return [_record(row) for row in session.execute(query.order_by(JobBatch.id.desc()).limit(limit))]


def batch_of_run(session: Executor, run_id: UUID) -> tuple[BatchRecord, int] | None:
    """The batch of a member, or the one that a callback reports, and the generation that the run belongs to."""
    batch_id = session.scalar(select(JobRun.batch_id).where(JobRun.id == run_id))
    if batch_id is not None:
        found = find_batch(session, batch_id)
        return None if found is None else (found, found.generation)
    reported = batch_of_callback(session, run_id)
    if reported is None or (found := find_batch(session, reported[0])) is None:
        return None
    return found, reported[1]


def inner_ids(session: Executor, batch_id: UUID) -> list[UUID]:
    """A batch and all batches inside it, the outermost first."""
    every, level = [batch_id], [batch_id]
    while level and len(every) <= MAX_INNER:
        level = list(session.scalars(select(JobBatch.id).where(JobBatch.parent_id.in_(level)).limit(MAX_INNER)))
        every += level
    return every


def broken_counts(
    session: Executor, *, among: Sequence[UUID] | None = None, limit: int = 100
) -> Iterator[tuple[UUID, str, int, int]]:
    """Batches whose ``pending`` is not the number of their members that have not ended: id, name, pending, truth.

    Args:
        among: look at these only; None looks at all that have not ended.
    """
    live = (
        select(func.count())
        .select_from(JobRun)
        .where(JobRun.batch_id == JobBatch.id, JobRun.finished_at.is_(None))
        .correlate(JobBatch)
        .scalar_subquery()
    )
    inner = JobBatch.__table__.alias("inner_batch")
    open_inner = (
        select(func.count())
        .select_from(inner)
        .where(inner.c.parent_id == JobBatch.id, inner.c.ended_at.is_(None))
        .correlate(JobBatch)
        .scalar_subquery()
    )
    truth: Any = live + open_inner
    query = select(JobBatch.id, JobBatch.name, JobBatch.pending, truth).where(
        JobBatch.ended_at.is_(None), JobBatch.pending != truth
    )
    if among is not None:
        query = query.where(JobBatch.id.in_(list(among)))
    for row in session.execute(query.order_by(JobBatch.id).limit(limit)):
        yield row[0], row[1], row[2], row[3]


def _record(row: Any) -> BatchRecord:
    return BatchRecord(**row._mapping)
