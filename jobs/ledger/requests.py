"""Requests: what was asked with an Idempotency-Key, and how it was answered; asked again, it is answered so again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, tuple_, update

from jobs.models import OperatorRequest
from jobs.sql import Executor, dialect_of, insert_into

SWEPT = 200


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request as kept; ``status`` and ``answer`` are None while nobody knows how it ended."""

    fingerprint: str
    status: int | None
    answer: str | None
    created_at: datetime


def claim(
    session: Executor, actor: str, key: str, fingerprint: str, *, now: datetime, kept: timedelta
) -> RequestRecord | None:
    """Take the key for a request; None: it is ours to do. Else the request that has it, no older than ``kept``."""
    mine = (OperatorRequest.actor == actor, OperatorRequest.key == key)
    old = delete(OperatorRequest).where(*mine, OperatorRequest.created_at <= now - kept)
    session.execute(old.execution_options(synchronize_session=False))
    taken = session.scalar(
        insert_into(dialect_of(session), OperatorRequest)
        .values(actor=actor, key=key, fingerprint=fingerprint, created_at=now)
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


def answer(session: Executor, actor: str, key: str, *, status: int, text: str) -> None:
    """Keep how a request was answered."""
    session.execute(
        update(OperatorRequest)
        .where(OperatorRequest.actor == actor, OperatorRequest.key == key)
        .values(status=status, answer=text)
        .execution_options(synchronize_session=False)
    )


def forget(session: Executor, actor: str, key: str) -> None:
    """Let go of a key whose request did nothing."""
    session.execute(
        delete(OperatorRequest)
        .where(OperatorRequest.actor == actor, OperatorRequest.key == key)
        .execution_options(synchronize_session=False)
    )


def sweep(session: Executor, *, before: datetime) -> None:
    """Clear away some of what is too old to be answered again."""
    here = tuple_(OperatorRequest.actor, OperatorRequest.key)
    old = select(OperatorRequest.actor, OperatorRequest.key).where(OperatorRequest.created_at <= before).limit(SWEPT)
    session.execute(delete(OperatorRequest).where(here.in_(old)).execution_options(synchronize_session=False))
