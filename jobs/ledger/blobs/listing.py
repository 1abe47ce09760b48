"""Reads stored values for operators: the newest first, with the runs that refer to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, func, or_, select, update

from jobs.database.models import JobBlob, JobBlobRef
from jobs.database.sql import Executor, dialect_of, ledger_now
from jobs.errors import Ambiguous, NotFound
from jobs.formats.short_id import ID_DIGITS, MIN_SHORT_ID, SHORT_ID, id_digits

MOST_MATCHES = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRow:
    """A stored value. ``size`` in bytes and ``sha256`` are None until it is complete; ``runs`` refer to it.

    ``problem`` is the code of the error that its content had at ``verified_at``; None: none, or nobody has looked.
    """

    id: UUID
    name: str | None
    size: int | None
    sha256: str | None
    store: str
    created_at: datetime
    collect_at: datetime | None
    removed_at: datetime | None
    verified_at: datetime | None
    problem: str | None
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


def resolve_blob(session: Executor, text: str) -> UUID:
    """The id of the stored value that ``text`` identifies: a whole id, or a unique head or tail of six characters or
    more, as lists show it.

    Raises:
        NotFound: there is no such value, or it is not an id.
        Ambiguous: several values have it.
    """
    plain = id_digits(text)
    if plain is None:
        raise NotFound(
            f"{text!r} is not the id of a stored value.",
            hint=f"Give a whole id, or its last {MIN_SHORT_ID} to {SHORT_ID} characters.",
        )
    query = select(JobBlob.id).where(_is_part_of_id(session, plain)).order_by(JobBlob.id).limit(MOST_MATCHES)
    found = list(session.scalars(query))
    if not found:
        raise NotFound(f"There is no stored value {text}.", hint="jobledger stored list shows those there are.")
    if len(found) > 1:
        some = ", ".join(map(str, found[: MOST_MATCHES - 1]))
        raise Ambiguous(
            f"{text} means more than one stored value: {some}.",
            matches=tuple(map(str, found)),
            hint="Give more of it.",
        )
    return found[0]


def _is_part_of_id(session: Executor, plain: str) -> ColumnElement[bool]:
    """Whether an id is ``plain``, or begins or ends with it. The end has no index: values are far fewer than runs."""
    if len(plain) == ID_DIGITS:
        return JobBlob.id == UUID(plain)
    digits: ColumnElement[str] = cast(JobBlob.id, String)
    if dialect_of(session) == "postgresql":
        digits = func.replace(digits, "-", "")
    begins_so = JobBlob.id.between(UUID(plain.ljust(32, "0")), UUID(plain.ljust(32, "f")))
    return or_(begins_so, func.substr(digits, 33 - len(plain)) == plain)


def runs_of(session: Executor, blob_id: UUID, *, limit: int) -> list[UUID]:
    """Some of the runs, and of the follow-ups that wait, that refer to a value."""
    return list(session.scalars(select(JobBlobRef.run_id).where(JobBlobRef.blob_id == blob_id).limit(limit)))


def record_verified(session: Executor, blob_id: UUID, problem: str | None, *, now: datetime | None = None) -> None:
    """Record that the content of a value was read to its end now, and the code of the error that it had."""
    looked = update(JobBlob).where(JobBlob.id == blob_id).values(verified_at=ledger_now(), problem=problem)
    session.execute(looked, {"now": now})


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
        JobBlob.verified_at,
        JobBlob.problem,
        runs.label("runs"),
    )
