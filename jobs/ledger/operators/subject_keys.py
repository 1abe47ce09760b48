"""Keys of subjects: one in use for each, sealed with a key of the file; forgetting deletes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from jobs.database.models import JobSubjectKey
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now


def key_in_use(session: Executor, subject_hash: str) -> tuple[UUID, str] | None:
    """The id and the sealed key of a subject; None if it has none."""
    row = session.execute(
        select(JobSubjectKey.id, JobSubjectKey.sealed_key).where(
            JobSubjectKey.subject_hash == subject_hash, JobSubjectKey.forgotten_at.is_(None)
        )
    ).one_or_none()
    return None if row is None or row.sealed_key is None else (row.id, row.sealed_key)


def sealed_key(session: Executor, key_id: UUID) -> str | None:
    """The sealed key with this id; None if the subject is forgotten, or there is none."""
    return session.scalar(select(JobSubjectKey.sealed_key).where(JobSubjectKey.id == key_id))


def add_key(session: Executor, key_id: UUID, subject_hash: str, sealed: str, *, now: datetime | None = None) -> None:
    """Store a subject's first key, unless another process has just stored one."""
    statement = insert_into(dialect_of(session), JobSubjectKey).values(
        id=key_id, subject_hash=subject_hash, sealed_key=sealed, created_at=ledger_now()
    )
    session.execute(statement.on_conflict_do_nothing(), {"now": now})


def forget_key(session: Executor, subject_hash: str, *, now: datetime | None = None) -> bool:
    """Delete the key of a subject. False if it has none."""
    gone = session.execute(
        update(JobSubjectKey)
        .where(JobSubjectKey.subject_hash == subject_hash, JobSubjectKey.forgotten_at.is_(None))
        .values(sealed_key=None, forgotten_at=ledger_now())
        .returning(JobSubjectKey.id),
        {"now": now},
    )
    return gone.first() is not None


def keys_after(session: Executor, after: UUID | None, *, limit: int) -> Sequence[tuple[UUID, str]]:
    """Sealed keys of subjects, by id; ``after`` is the last id of the previous page."""
    query = select(JobSubjectKey.id, JobSubjectKey.sealed_key).where(JobSubjectKey.sealed_key.is_not(None))
    if after is not None:
        query = query.where(JobSubjectKey.id > after)
    rows = session.execute(query.order_by(JobSubjectKey.id).limit(limit)).all()
    return [(row.id, row.sealed_key) for row in rows if row.sealed_key is not None]


def replace_key(session: Executor, key_id: UUID, old: str, new: str) -> None:
    """Put ``new`` in place of the sealed key ``old``; nothing if the subject was forgotten meanwhile."""
    session.execute(
        update(JobSubjectKey).where(JobSubjectKey.id == key_id, JobSubjectKey.sealed_key == old).values(sealed_key=new)
    )
