"""Sessions: sign-ins of pages and of the API, their refresh tokens, and links that sign in once.

A user who is disabled has no session, whatever the rows say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)

from jobs.database.models import OperatorRefresh, OperatorSession, OperatorUser
from jobs.database.prepared import Prepared
from jobs.database.sql import Executor, ledger_now, plus_seconds
from jobs.ledger.operators import users

SWEPT = 200
"""Most rows that one sign-in deletes. Source: decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A valid session; ``role`` is its user's current role."""

    id: UUID
    kind: str
    user_id: UUID | None
    actor: str
    role: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str | None
    parent_id: UUID | None


# Built once, because every request runs one of them.
_HELD = (
    select(
        OperatorSession.id,
        OperatorSession.kind,
        OperatorSession.user_id,
        OperatorSession.actor,
        case((OperatorSession.user_id.is_(None), OperatorSession.role), else_=OperatorUser.role).label("role"),
        OperatorSession.created_at,
        OperatorSession.seen_at,
        OperatorSession.expires_at,
        OperatorSession.address,
        OperatorSession.parent_id,
    )
    .outerjoin(OperatorUser, OperatorUser.id == OperatorSession.user_id)
    .where(
        OperatorSession.revoked_at.is_(None),
        OperatorSession.expires_at > ledger_now(),
        or_(OperatorSession.user_id.is_(None), users.holds()),
    )
)
_FIELDS = tuple(_HELD.selected_columns.keys())
_OF_KIND = _HELD.where(OperatorSession.kind == bindparam("kind", type_=String()))
_WITH_SECRET = _OF_KIND.where(OperatorSession.secret_hash == bindparam("secret_hash", type_=String()))
_SINCE = plus_seconds(ledger_now(), bindparam("idle_seconds", type_=Float()))
_BY_ID = Prepared(_OF_KIND.where(OperatorSession.id == bindparam("id", type_=Uuid())))
_LINK = Prepared(_WITH_SECRET)
_BY_COOKIE = Prepared(_WITH_SECRET.where(OperatorSession.seen_at > _SINCE))


def open_session(
    session: Executor,
    session_id: UUID,
    *,
    kind: str,
    user_id: UUID | None,
    actor: str,
    role: str,
    secret_hash: str,
    lasts: timedelta,
    address: str | None = None,
    parent_id: UUID | None = None,
) -> None:
    session.execute(
        insert(OperatorSession).values(
            id=session_id, kind=kind, user_id=user_id, actor=actor, role=role, secret_hash=secret_hash,
            created_at=ledger_now(), seen_at=ledger_now(), expires_at=_in(lasts), address=address,
            parent_id=parent_id,
        ),
        {"now": None},
    )  # fmt: skip


def by_secret(session: Executor, secret_hash: str, *, kind: str, idle: timedelta) -> SessionRecord | None:
    """The session of a cookie, if it is valid and was seen within ``idle``."""
    return _one(session, _BY_COOKIE, secret_hash=secret_hash, kind=kind, idle_seconds=-idle.total_seconds())


def by_id(session: Executor, session_id: UUID) -> SessionRecord | None:
    """The session of an access token, if it is valid."""
    return _one(session, _BY_ID, id=session_id, kind="api")


def lock_session(session: Executor, session_id: UUID) -> SessionRecord | None:
    """A valid session, locked until the transaction ends."""
    row = session.execute(
        _HELD.where(OperatorSession.id == session_id).with_for_update(of=OperatorSession), {"now": None}
    ).one_or_none()
    return None if row is None else SessionRecord(**row._mapping)


def list_sessions(
    session: Executor, *, idle: timedelta, user: str | None = None, before: UUID | None = None, limit: int = 50
) -> list[SessionRecord]:
    """Valid sessions and links, newest first; those of pages only while seen within ``idle``."""
    query = _HELD.where(or_(OperatorSession.kind != "page", OperatorSession.seen_at > _in(-idle)))
    query = query.order_by(OperatorSession.id.desc()).limit(limit)
    if user is not None:
        query = query.where(OperatorSession.actor == user)
    if before is not None:
        query = query.where(OperatorSession.id < before)
    return [SessionRecord(**row._mapping) for row in session.execute(query, {"now": None})]


def find_session(session: Executor, session_id: UUID) -> SessionRecord | None:
    """A session, valid or not; ``role`` is the one it was opened with."""
    row = session.execute(
        select(*(getattr(OperatorSession, name) for name in _FIELDS)).where(OperatorSession.id == session_id)
    ).one_or_none()
    return None if row is None else SessionRecord(**row._mapping)


def see(session: Executor, session_id: UUID) -> None:
    """Record that a session is in use."""
    session.execute(
        update(OperatorSession).where(OperatorSession.id == session_id).values(seen_at=ledger_now()),
        {"now": None},
    )  # fmt: skip


def use_link(session: Executor, secret_hash: str) -> SessionRecord | None:
    """Use up a link that signs in once; None if it is invalid or was used."""
    found = _one(session, _LINK, secret_hash=secret_hash, kind="link")
    return found if found is not None and revoke(session, found.id) else None


def revoke(session: Executor, session_id: UUID) -> bool:
    """End a session, and the sessions that a link opened. False: it had ended."""
    return bool(_revoke(session, or_(OperatorSession.id == session_id, OperatorSession.parent_id == session_id)))


def revoke_user(session: Executor, user_id: UUID, name: str, *, but: UUID | None = None) -> int:
    """End every session and link of a user, also those that a link opened under the name; returns their number."""
    where = or_(OperatorSession.user_id == user_id, OperatorSession.actor == name)
    return _revoke(session, where if but is None else and_(where, OperatorSession.id != but))


def add_refresh(session: Executor, secret_hash: str, session_id: UUID, *, lasts: timedelta) -> None:
    session.execute(
        insert(OperatorRefresh).values(secret_hash=secret_hash, session_id=session_id, expires_at=_in(lasts)),
        {"now": None},
    )


def use_refresh(session: Executor, secret_hash: str) -> tuple[UUID | None, bool]:
    """Use up a refresh token: its session, and whether it was used before. (None, False): no such token."""
    moved = session.scalar(
        update(OperatorRefresh)
        .where(
            OperatorRefresh.secret_hash == secret_hash,
            OperatorRefresh.used_at.is_(None),
            OperatorRefresh.expires_at > ledger_now(),
        )
        .values(used_at=ledger_now())
        .returning(OperatorRefresh.session_id),
        {"now": None},
    )
    if moved is not None:
        return moved, False
    used = session.scalar(
        select(OperatorRefresh.session_id).where(
            OperatorRefresh.secret_hash == secret_hash, OperatorRefresh.used_at.is_not(None)
        )
    )
    return used, used is not None


def sweep(session: Executor) -> None:
    """Delete some of the rows that are over."""
    over = list(
        session.scalars(
            select(OperatorSession.id).where(OperatorSession.expires_at < ledger_now()).limit(SWEPT), {"now": None}
        )
    )
    if over:
        session.execute(delete(OperatorRefresh).where(OperatorRefresh.session_id.in_(over)))
        session.execute(delete(OperatorSession).where(OperatorSession.id.in_(over)))


def _one(session: Executor, query: Prepared, **given: Any) -> SessionRecord | None:
    row = query.one(session, **given, now=None)
    return None if row is None else SessionRecord(**dict(zip(_FIELDS, row, strict=True)))


def _revoke(session: Executor, where: ColumnElement[bool]) -> int:
    ended = session.execute(
        update(OperatorSession)
        .where(where, OperatorSession.revoked_at.is_(None))
        .values(revoked_at=ledger_now())
        .returning(OperatorSession.id),
        {"now": None},
    )
    return len(ended.all())


def _in(span: timedelta) -> ColumnElement[datetime]:
    return plus_seconds(ledger_now(), literal(span.total_seconds()))
