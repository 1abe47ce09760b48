"""The rows of values: made before their content is written, complete after it. The ledger's own content, in chunks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Float, bindparam, insert, select, update

from jobs.database.models import JobBlob, JobBlobChunk
from jobs.database.sql import Executor, ledger_now, plus_seconds

LEDGER = "ledger"
"""The store of values that the ledger itself holds."""
UNUSED_KEPT = timedelta(days=1)
"""How long a value is kept that no run refers to yet. Source: decision; longer than an upload and its enqueue take."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored value: ``size`` in bytes and ``sha256`` in hexadecimal digits are None until it is complete."""

    id: UUID
    store: str
    name: str | None
    size: int | None
    sha256: str | None
    is_removed: bool


def begin(session: Executor, blob_id: UUID, *, store: str, name: str | None, now: datetime | None = None) -> None:
    """Record that a value is about to be written, so that whatever is written of it is found again."""
    session.execute(
        insert(JobBlob).values(
            id=blob_id, store=store, name=name, created_at=ledger_now(), collect_at=_unused_until()
        ),
        _given(now),
    )  # fmt: skip


def add_chunk(session: Executor, blob_id: UUID, number: int, data: bytes) -> None:
    """Write a part of a value that the ledger stores."""
    session.execute(insert(JobBlobChunk).values(blob_id=blob_id, number=number, data=data))


def extend(session: Executor, blob_id: UUID, *, now: datetime | None = None) -> bool:
    """Keep an unused value for longer, because it is still being written. False if it was removed."""
    kept = (
        update(JobBlob)
        .where(JobBlob.id == blob_id, JobBlob.removed_at.is_(None))
        .values(collect_at=_unused_until())
        .returning(JobBlob.id)
    )
    return session.scalar(kept, _given(now)) is not None


def complete(session: Executor, blob_id: UUID, *, size: int, sha256: str, now: datetime | None = None) -> bool:
    """Record that all of a value is written: from now on runs may refer to it. False if it was removed."""
    done = (
        update(JobBlob)
        .where(JobBlob.id == blob_id, JobBlob.removed_at.is_(None))
        .values(size=size, sha256=sha256, collect_at=_unused_until())
        .returning(JobBlob.id)
    )
    return session.scalar(done, _given(now)) is not None


def find_same(session: Executor, *, store: str, size: int, sha256: str, now: datetime | None = None) -> UUID | None:
    """A complete value with this content in this store, which is kept for half a day or longer; None if there is none.

    Not one whose content was found to be gone or altered.
    """
    # Else each enqueue with a popular value would write its row.
    is_kept = JobBlob.collect_at > plus_seconds(ledger_now(), bindparam("kept_seconds", type_=Float()))
    same = (
        select(JobBlob.id, is_kept)
        .where(JobBlob.sha256 == sha256, JobBlob.size == size, JobBlob.store == store)
        .where(JobBlob.removed_at.is_(None), JobBlob.problem.is_(None))
        .order_by(JobBlob.id.desc())
        .limit(1)
    )
    found = session.execute(same, {"now": now, "kept_seconds": UNUSED_KEPT.total_seconds() / 2}).one_or_none()
    if found is None:
        return None
    blob_id: UUID = found[0]
    # Somebody may have removed it between the two statements.
    return blob_id if found[1] or extend(session, blob_id, now=now) else None


def find_blob(session: Executor, blob_id: UUID) -> Blob | None:
    """The row of a value."""
    removed = JobBlob.removed_at.is_not(None)
    query = select(JobBlob.id, JobBlob.store, JobBlob.name, JobBlob.size, JobBlob.sha256, removed)
    row = session.execute(query.where(JobBlob.id == blob_id)).one_or_none()
    return None if row is None else Blob(*row)


def read_chunk(session: Executor, blob_id: UUID, number: int) -> bytes | None:
    """A part of a value that the ledger stores; None if there is none."""
    found: bytes | None = session.scalar(
        select(JobBlobChunk.data).where(JobBlobChunk.blob_id == blob_id, JobBlobChunk.number == number)
    )
    return None if found is None else bytes(found)


def _unused_until() -> plus_seconds:
    return plus_seconds(ledger_now(), bindparam("kept_seconds", type_=Float()))


def _given(now: datetime | None) -> dict[str, object]:
    return {"now": now, "kept_seconds": UNUSED_KEPT.total_seconds()}
