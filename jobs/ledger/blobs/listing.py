"""Reads stored values for operators: the newest first, with the runs that refer to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from jobs.database.models import JobBlob, JobBlobRef
from jobs.database.sql import Executor


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRow:
    """A stored value. ``size`` in bytes and ``sha256`` are None until it is complete; ``runs`` refer to it."""

    id: UUID
    name: str | None
    size: int | None
    sha256: str | None
    store: str
    created_at: datetime
    collect_at: datetime | None
    removed_at: datetime | None
    runs: int

    @property
    def state(self) -> str:
        """``used``, ``unused``, ``incomplete``, or ``removed`` while its content is being deleted."""
        if self.removed_at is not None:
            return "removed"
        if self.size is None:
            return "incomplete"
        return "used" if self.runs else "unused"


def list_blobs(session: Executor, *, before: UUID | None = None, limit: int = 50) -> list[BlobRow]:
    """Stored values, the newest first: ids rise with time. ``before`` is the last id of the previous page."""
    query = _rows().order_by(JobBlob.id.desc()).limit(limit)
    if before is not None:
        query = query.where(JobBlob.id < before)
    return [BlobRow(**row._mapping) for row in session.execute(query)]


def find_blobs(session: Executor, ids: Sequence[UUID]) -> list[BlobRow]:
    """These stored values, by id, as far as they are there."""
    rows = session.execute(_rows().where(JobBlob.id.in_(list(ids))).order_by(JobBlob.id))
    return [BlobRow(**row._mapping) for row in rows]


def runs_of(session: Executor, blob_id: UUID, *, limit: int) -> list[UUID]:
    """Some of the runs, and of the follow-ups that wait, that refer to a value."""
    return list(session.scalars(select(JobBlobRef.run_id).where(JobBlobRef.blob_id == blob_id).limit(limit)))


def _rows() -> Any:
    runs = select(func.count()).where(JobBlobRef.blob_id == JobBlob.id).scalar_subquery()
    return select(
        JobBlob.id,
        JobBlob.name,
        JobBlob.size,
        JobBlob.sha256,
        JobBlob.store,
        JobBlob.created_at,
        JobBlob.collect_at,
        JobBlob.removed_at,
        runs.label("runs"),
    )
