"""Tokens: credentials of programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import String, bindparam, insert, select, update

from jobs.database.models import OperatorToken, OperatorUser
from jobs.database.prepared import Prepared
from jobs.database.sql import Executor, ledger_now
from jobs.ledger.operators import users


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A token as read, without its secret, which is not stored."""

    id: UUID
    user_id: UUID
    user: str
    role: str
    name: str
    permissions: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None
    parent_id: UUID | None = None


_QUERY = select(
    OperatorToken.id,
    OperatorToken.user_id,
    OperatorUser.name.label("user"),
    OperatorUser.role,
    OperatorToken.name,
    OperatorToken.permissions,
    OperatorToken.created_at,
    OperatorToken.expires_at,
    OperatorToken.revoked_at,
    OperatorToken.used_at,
    OperatorToken.parent_id,
).join(OperatorUser, OperatorUser.id == OperatorToken.user_id)
_FIELDS = tuple(_QUERY.selected_columns.keys())
_BY_SECRET = Prepared(
    _QUERY.where(
        OperatorToken.secret_hash == bindparam("secret_hash", type_=String()),
        OperatorToken.revoked_at.is_(None),
        OperatorToken.expires_at > ledger_now(),
        users.holds(),
    )
)
"""Every request of a program runs it."""


def insert_token(
    session: Executor, token_id: UUID, *, user_id: UUID, name: str, secret_hash: str, permissions: Sequence[str],
    expires_at: datetime, parent_id: UUID | None,
) -> None:  # fmt: skip
    session.execute(
        insert(OperatorToken).values(
            id=token_id, user_id=user_id, name=name, secret_hash=secret_hash,
            permissions=json.dumps(sorted(permissions)), created_at=ledger_now(),
            expires_at=expires_at, parent_id=parent_id,
        ),
        {"now": None},
    )  # fmt: skip


def by_secret(session: Executor, secret_hash: str) -> TokenRecord | None:
    """The token with this secret, if it is valid and its user may sign in."""
    row = _BY_SECRET.one(session, secret_hash=secret_hash, now=None)
    return None if row is None else _token(row)


def find_token(session: Executor, token_id: UUID) -> TokenRecord | None:
    found = session.execute(_QUERY.where(OperatorToken.id == token_id)).one_or_none()
    return None if found is None else _token(found)


def list_tokens(
    session: Executor, *, user: str | None = None, before: UUID | None = None, limit: int = 50
) -> list[TokenRecord]:
    """Tokens, newest first."""
    query = _QUERY.order_by(OperatorToken.id.desc()).limit(limit)
    if user is not None:
        query = query.where(OperatorUser.name == user)
    if before is not None:
        query = query.where(OperatorToken.id < before)
    return [_token(row) for row in session.execute(query)]


def lock_token(session: Executor, token_id: UUID) -> TokenRecord | None:
    """A valid token, locked until the transaction ends; the caller has locked its user."""
    row = session.execute(
        _QUERY.where(
            OperatorToken.id == token_id, OperatorToken.revoked_at.is_(None), OperatorToken.expires_at > ledger_now()
        ).with_for_update(of=OperatorToken),
        {"now": None},
    ).one_or_none()
    return None if row is None else _token(row)


def see(session: Executor, token_id: UUID) -> None:
    """Record that a token is in use."""
    _set(session, token_id, used_at=ledger_now())


def revoke(session: Executor, token_id: UUID) -> bool:
    """End a token. False: there is none, or it had ended."""
    return _set(session, token_id, revoked_at=ledger_now())


def _set(session: Executor, token_id: UUID, **values: Any) -> bool:
    moved = session.scalar(
        update(OperatorToken)
        .where(OperatorToken.id == token_id, OperatorToken.revoked_at.is_(None))
        .values(**values)
        .returning(OperatorToken.id),
        {"now": None},
    )
    return moved is not None


def _token(row: Sequence[Any]) -> TokenRecord:
    found = dict(zip(_FIELDS, row, strict=True))
    return TokenRecord(**{**found, "permissions": tuple(found["permissions"])})
