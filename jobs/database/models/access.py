"""Who may do what: users, sessions, refresh tokens, machine tokens, sign-in attempts, idempotent requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, JsonText, LongText, Number, UtcDateTime, Words, one_of

ROLE_NAMES = ("admin", "operator", "viewer")
SESSION_KINDS = ("api", "link", "page")


class OperatorUser(Base):
    """A person who signs in. Never deleted, because audit entries refer to it."""

    __tablename__ = "operator_users"

    id: Mapped[UUID] = column(Id, primary_key=True)
    name: Mapped[str] = column(Words(100))
    password_hash: Mapped[str] = column(Words(200))
    role: Mapped[str] = column(Words(20))
    created_at: Mapped[datetime] = column(UtcDateTime)
    created_by: Mapped[str] = column(Words(200))
    password_set_at: Mapped[datetime] = column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = column(UtcDateTime)
    parent_id: Mapped[UUID | None] = column(Id)
    """The token that made the user; None if a session or the command line did."""
    expires_at: Mapped[datetime | None] = column(UtcDateTime)

    __table_args__ = (
        Index("uq_operator_users_name", "name", unique=True),
        CheckConstraint(one_of("role", ROLE_NAMES), name="role"),
    )


class OperatorSession(Base):
    """A sign-in: of a page (a cookie), of the API (a chain of refresh tokens), or a link that signs in once."""

    __tablename__ = "operator_sessions"

    id: Mapped[UUID] = column(Id, primary_key=True)
    kind: Mapped[str] = column(Words(8))
    user_id: Mapped[UUID | None] = column(Id)
    actor: Mapped[str] = column(Words(200))
    role: Mapped[str] = column(Words(20))
    secret_hash: Mapped[str] = column(Words(64))
    created_at: Mapped[datetime] = column(UtcDateTime)
    seen_at: Mapped[datetime] = column(UtcDateTime)
    expires_at: Mapped[datetime] = column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = column(UtcDateTime)
    address: Mapped[str | None] = column(Words(64))
    parent_id: Mapped[UUID | None] = column(Id)
    """The link that opened it; None if a password did."""

    __table_args__ = (
        # ledger/operators/sessions.py: the session of a cookie.
        Index("uq_operator_sessions_secret", "secret_hash", unique=True),
        # ledger/operators/sessions.py: all sessions of a user.
        Index("ix_operator_sessions_user", "user_id"),
        CheckConstraint(one_of("kind", SESSION_KINDS), name="kind"),
        CheckConstraint(one_of("role", ROLE_NAMES), name="role"),
    )


class OperatorRefresh(Base):
    """A refresh token of a session. Used once; a second use reveals theft and ends the session."""

    __tablename__ = "operator_refreshes"

    secret_hash: Mapped[str] = column(Words(64), primary_key=True)
    session_id: Mapped[UUID] = column(Id)
    expires_at: Mapped[datetime] = column(UtcDateTime)
    used_at: Mapped[datetime | None] = column(UtcDateTime)

    # ledger/operators/sessions.py: tokens that are swept with their session.
    __table_args__ = (Index("ix_operator_refreshes_session", "session_id"),)


class OperatorToken(Base):
    """A program's token: which of its user's permissions it has, and until when."""

    __tablename__ = "operator_tokens"

    id: Mapped[UUID] = column(Id, primary_key=True)
    user_id: Mapped[UUID] = column(Id)
    name: Mapped[str] = column(Words(100))
    secret_hash: Mapped[str] = column(Words(64))
    permissions: Mapped[Any] = column(JsonText)
    created_at: Mapped[datetime] = column(UtcDateTime)
    expires_at: Mapped[datetime] = column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = column(UtcDateTime)
    used_at: Mapped[datetime | None] = column(UtcDateTime)
    parent_id: Mapped[UUID | None] = column(Id)
    """The token that made it, and ends it; None if a session or the command line made it."""

    __table_args__ = (
        # ledger/operators/tokens.py: the owner of a token.
        Index("uq_operator_tokens_secret", "secret_hash", unique=True),
        # ledger/operators/credential_lineage.py: what a user's tokens made.
        Index("ix_operator_tokens_user", "user_id"),
    )


class OperatorLimit(Base):
    """Moments of sign-in attempts, by account and by address; a row is locked while it is counted."""

    __tablename__ = "operator_limits"

    key: Mapped[str] = column(Words(100), primary_key=True)
    moments: Mapped[Any] = column(JsonText)
    touched_at: Mapped[datetime] = column(UtcDateTime)

    # ledger/operators/rate_limits.py: rows too old to count.
    __table_args__ = (Index("ix_operator_limits_touched", "touched_at"),)


class OperatorRequest(Base):
    """A request with an Idempotency-Key, and its answer; the answer is null while its result is unknown."""

    __tablename__ = "operator_requests"

    actor: Mapped[str] = column(Words(200), primary_key=True)
    key: Mapped[str] = column(Words(100), primary_key=True)
    scope: Mapped[str] = column(Words(16), primary_key=True, server_default="")
    """The permissions of the credential, as a hash: a narrower credential does not see the answer of a wider one."""
    fingerprint: Mapped[str] = column(Words(64))
    status: Mapped[int | None] = column(Number)
    answer: Mapped[str | None] = column(LongText)
    created_at: Mapped[datetime] = column(UtcDateTime)

    # ledger/operators/idempotency.py: rows to delete.
    __table_args__ = (Index("ix_operator_requests_created", "created_at"),)
