"""Stored answers of requests with an Idempotency-Key; a repeated request gets the stored answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, tuple_, update

from jobs.database.models import OperatorRequest
from jobs.database.sql import Executor, dialect_of, insert_into

SWEPT = 200


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A stored request; ``status`` and ``answer`` are None while its result is unknown."""

    fingerprint: str
    status: int | None
    answer: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Identifies a key: its operator, and the permissions of the credential (``scope``)."""

    actor: str
    key: str
    scope: str

    @property
    def row(self) -> tuple[ColumnElement[bool], ...]:
        return (
            OperatorRequest.actor == self.actor, OperatorRequest.key == self.key, OperatorRequest.scope == self.scope
        )  # fmt: skip


def claim(
    session: Executor, at: RequestKey, fingerprint: str, *, now: datetime, kept: timedelta
) -> RequestRecord | None:  # fmt: skip
    """Take the key for a request. None: it is new, so perform it.

    Else the request with the key, no older than ``kept``.
    """
    mine = at.row
    old = delete(OperatorRequest).where(*mine, OperatorRequest.created_at <= now - kept)
    session.execute(old)
    taken = session.scalar(
        insert_into(dialect_of(session), OperatorRequest)
        .values(actor=at.actor, key=at.key, scope=at.scope, fingerprint=fingerprint, created_at=now)
        .on_conflict_do_nothing()
        .returning(OperatorRequest.key)
    )
    if taken is not None:
        return None
    row = session.execute(
        select(
            OperatorRequest.fingerprint, OperatorRequest.status, OperatorRequest.answer, OperatorRequest.created_at
        ).where(*mine)
    ).one()
    return RequestRecord(*row)


def answer(session: Executor, at: RequestKey, *, status: int, text: str) -> None:
    """Store the answer to a request."""
    session.execute(update(OperatorRequest).where(*at.row).values(status=status, answer=text))


def blank(session: Executor) -> None:
    """Blank stored answers, because they may contain erased data; the rows stay.

    The answer to an enqueue contains only the run's id, and stays.
    """
    session.execute(
        update(OperatorRequest)
        .where(
            OperatorRequest.answer.is_not(None),
            ~OperatorRequest.answer.contains('"location": "/v1/runs/', autoescape=True),
        )
        .values(answer=None)
    )


def forget(session: Executor, at: RequestKey) -> None:
    """Release a key whose request did nothing."""
    session.execute(delete(OperatorRequest).where(*at.row))


def sweep(session: Executor, *, before: datetime) -> None:
    """Delete some of the requests that are too old to be answered again."""
    columns = (OperatorRequest.actor, OperatorRequest.key, OperatorRequest.scope)
    here = tuple_(*columns)
    old = select(*columns).where(OperatorRequest.created_at <= before).limit(SWEPT)
    session.execute(delete(OperatorRequest).where(here.in_(old)))
