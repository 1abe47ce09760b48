"""Keys of subjects, whose deletion makes a person's sealed values unreadable."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.sql import text

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, UtcDateTime, Words

IN_USE = "forgotten_at is null"


class JobSubjectKey(Base):
    """A subject's key, sealed with a key of the file. Without ``sealed_key`` the subject is forgotten."""

    __tablename__ = "job_subject_keys"

    id: Mapped[UUID] = column(Id, primary_key=True)
    subject_hash: Mapped[str] = column(Words(32))
    sealed_key: Mapped[str | None] = column(Words(300))
    created_at: Mapped[datetime] = column(UtcDateTime)
    forgotten_at: Mapped[datetime | None] = column(UtcDateTime)

    __table_args__ = (
        # ledger/operators/subject_keys.py: the key of a subject; one is in use at a time.
        Index("uq_job_subject_keys_in_use", "subject_hash", unique=True,
              postgresql_where=text(IN_USE), sqlite_where=text(IN_USE)),
    )  # fmt: skip
