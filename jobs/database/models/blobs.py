"""Stored values: large arguments and results, whose rows hold a reference to them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, text

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, LongText, Number, UtcDateTime, Words

TO_COLLECT = "collect_at is not null and removed_at is null"
REMOVED = "removed_at is not null"


class JobBlob(Base):
    """A stored value: where it is, its size in bytes and its SHA-256. Both are NULL until it is complete.

    ``store`` is ``ledger``, or the URL of another store. From ``collect_at`` on it is looked at: without references it
    is removed. Once ``removed_at`` is set nothing can refer to it, and its content is deleted. ``problem`` is the code
    of the error that its content had when it was read to its end at ``verified_at``; NULL: none.
    """

    __tablename__ = "job_blobs"

    id: Mapped[UUID] = column(Id, primary_key=True)
    store: Mapped[str] = column(Words(1000))
    name: Mapped[str | None] = column(LongText)
    size: Mapped[int | None] = column(BigInteger)
    sha256: Mapped[str | None] = column(Words(64))
    created_at: Mapped[datetime] = column(UtcDateTime)
    collect_at: Mapped[datetime | None] = column(UtcDateTime)
    removed_at: Mapped[datetime | None] = column(UtcDateTime)
    verified_at: Mapped[datetime | None] = column(UtcDateTime)
    problem: Mapped[str | None] = column(Words(40))

    __table_args__ = (
        CheckConstraint("(size is null) = (sha256 is null)", name="complete"),
        # ledger/blobs/collect.py: values to look at, and values whose content is to be deleted.
        Index("ix_job_blobs_collect", "collect_at",
              postgresql_where=text(TO_COLLECT), sqlite_where=text(TO_COLLECT)),
        # ledger/blobs/content.py: a value with the same content.
        Index("ix_job_blobs_sha256", "sha256"),
        Index("ix_job_blobs_removed", "removed_at", postgresql_where=text(REMOVED), sqlite_where=text(REMOVED)),
    )  # fmt: skip


class JobBlobChunk(Base):
    """A part of a value that the ledger itself stores. ``number`` counts from 0."""

    __tablename__ = "job_blob_chunks"

    blob_id: Mapped[UUID] = column(Id, primary_key=True)
    number: Mapped[int] = column(Number, primary_key=True)
    data: Mapped[bytes] = column(LargeBinary)


class JobBlobRef(Base):
    """A run, or a follow-up that will be one, that holds a reference to a value. Written before its row, with it.

    At ``check_at`` somebody looks whether the run is still there.
    """

    __tablename__ = "job_blob_refs"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    blob_id: Mapped[UUID] = column(Id, primary_key=True)
    check_at: Mapped[datetime] = column(UtcDateTime)

    __table_args__ = (
        # ledger/blobs/collect.py: the references to a value, and those to look at.
        Index("ix_job_blob_refs_blob_id", "blob_id"),
        Index("ix_job_blob_refs_check_at", "check_at"),
    )
