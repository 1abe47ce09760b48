"""Collects values that no run refers to any more: decides in one statement, under the lock of each value's row.

Three steps, each in short transactions: references of runs that are gone are forgotten; values without references are
marked as removed, and from then on nothing can refer to them; the content of removed values is deleted, and then their
rows. Whoever is killed in between leaves the rest to the next turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Integer, and_, bindparam, delete, select, update

from jobs.database.models import JobBlob, JobBlobChunk, JobBlobRef, JobFollowup, JobRun
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.ledger.blobs.references import CHECK_EVERY, release
from jobs.ledger.history_rows import has_history, table_of
from jobs.migration.history_tables import RUNS

LIMIT = 500
"""References or values looked at in one transaction. Source: decision."""
CHUNKS = 32
"""Chunks deleted in one transaction. Source: decision; 32 MB."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A removed value whose content is still to be deleted from its store."""

    id: UUID
    store: str


def has_blobs(session: Executor) -> bool:
    """Whether the ledger knows any value."""
    return session.scalar(select(JobBlob.id).limit(1)) is not None


def forget_lost(session: Executor, *, limit: int = LIMIT, now: datetime | None = None) -> int:
    """Forget due references whose run is in no table; look at the others again later. Returns how many were due."""
    due = (
        select(JobBlobRef.run_id, JobBlobRef.blob_id)
        .where(JobBlobRef.check_at <= ledger_now())
        .order_by(JobBlobRef.check_at)
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
    )
    pairs = session.execute(due, {"limit": limit, "now": now}).all()
    if not pairs:
        return 0
    runs = sorted({run_id for run_id, _ in pairs})
    is_lost = and_(*(~found for found in _places(has_history(session))))
    lost = delete(JobBlobRef).where(JobBlobRef.run_id.in_(runs), is_lost).returning(JobBlobRef.blob_id)
    release(session, list(session.scalars(lost)), now=now)
    again = plus_seconds(ledger_now(), bindparam("check_seconds", type_=Float()))
    session.execute(
        update(JobBlobRef).where(JobBlobRef.run_id.in_(runs)).values(check_at=again),
        {"check_seconds": CHECK_EVERY.total_seconds(), "now": now},
    )
    return len(pairs)


def remove_unused(session: Executor, *, limit: int = LIMIT, now: datetime | None = None) -> int:
    """Mark due values without references as removed. Returns how many values were due.

    A reference that is being added holds a lock on its value, which is passed over then.
    """
    due = (
        select(JobBlob.id)
        .where(JobBlob.collect_at.is_not(None), JobBlob.removed_at.is_(None), JobBlob.collect_at <= ledger_now())
        .order_by(JobBlob.collect_at)
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(due, {"limit": limit, "now": now}))
    if not ids:
        return 0
    # With the locks held, statements that begin now see each reference that was added before.
    is_used = select(JobBlobRef.blob_id).where(JobBlobRef.blob_id == JobBlob.id).exists()
    session.execute(update(JobBlob).where(JobBlob.id.in_(ids), ~is_used).values(removed_at=ledger_now()), {"now": now})
    session.execute(update(JobBlob).where(JobBlob.id.in_(ids), JobBlob.removed_at.is_(None)).values(collect_at=None))
    return len(ids)


def removed_blobs(session: Executor, *, limit: int = LIMIT, passed: Sequence[UUID] = ()) -> list[Removed]:
    """The values longest removed whose rows are still there, without those ``passed``."""
    query = select(JobBlob.id, JobBlob.store).where(JobBlob.removed_at.is_not(None))
    if passed:
        query = query.where(JobBlob.id.not_in(passed))
    return [Removed(*row) for row in session.execute(query.order_by(JobBlob.removed_at).limit(limit))]


def delete_chunks(session: Executor, blob_id: UUID) -> int:
    """Delete some chunks of a removed value; returns how many: 0, when none is left."""
    some = (
        select(JobBlobChunk.number)
        .where(JobBlobChunk.blob_id == blob_id)
        .order_by(JobBlobChunk.number)
        .limit(CHUNKS)
    )  # fmt: skip
    is_removed = select(JobBlob.id).where(JobBlob.id == blob_id, JobBlob.removed_at.is_not(None)).exists()
    gone = (
        delete(JobBlobChunk)
        .where(JobBlobChunk.blob_id == blob_id, JobBlobChunk.number.in_(some), is_removed)
        .returning(JobBlobChunk.number)
    )
    return len(session.execute(gone).all())


def delete_row(session: Executor, blob_id: UUID) -> bool:
    """Delete the row of a removed value whose content is gone."""
    gone = delete(JobBlob).where(JobBlob.id == blob_id, JobBlob.removed_at.is_not(None)).returning(JobBlob.id)
    return session.scalar(gone) is not None


def _places(history: bool) -> list[ColumnElement[bool]]:
    """Where the run of a reference may be: among runs, in history, or as a follow-up that waits."""
    places: list[ColumnElement[bool]] = [
        select(JobRun.id).where(JobRun.id == JobBlobRef.run_id).exists(),
        select(JobFollowup.id).where(JobFollowup.id == JobBlobRef.run_id).exists(),
    ]
    if history:
        cold: Any = table_of(RUNS.name, ("id",))
        places.append(select(cold.c.id).where(cold.c.id == JobBlobRef.run_id).exists())
    return places
