"""Who may do what: users, sessions, refresh tokens, machine tokens, tries at signing in, requests done once."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from jobs.database.models.types import Base, Id, JsonText, LongText, Number, UtcDateTime, Words, one_of

ROLE_NAMES = ("admin", "operator", "viewer")
SESSION_KINDS = ("api", "link", "page")


class OperatorUser(Base):
    """A person who signs in. Never deleted: the audit names them."""

    __tablename__ = "operator_users"

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Words(100))
    password_hash: Mapped[str] = mapped_column(Words(200))
    role: Mapped[str] = mapped_column(Words(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Words(200))
    password_set_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    parent_id: Mapped[UUID | None] = mapped_column(Id)
    """The token that made the user; none for one made by a session or at the command line."""
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("uq_operator_users_name", "name", unique=True),
        CheckConstraint(one_of("role", ROLE_NAMES), name="role"),
    )


class OperatorSession(Base):
    """A sign-in: of a page (a cookie), of the API (a family of refresh tokens), or a link that signs in once."""

    __tablename__ = "operator_sessions"

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Words(8))
    user_id: Mapped[UUID | None] = mapped_column(Id)
    actor: Mapped[str] = mapped_column(Words(200))
    role: Mapped[str] = mapped_column(Words(20))
    secret_hash: Mapped[str] = mapped_column(Words(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    address: Mapped[str | None] = mapped_column(Words(64))
    parent_id: Mapped[UUID | None] = mapped_column(Id)
    """The link that opened it; none for one opened with a password."""

    __table_args__ = (
        # ledger/sessions.py, who sent the cookie.
        Index("uq_operator_sessions_secret", "secret_hash", unique=True),
        # ledger/sessions.py, all of a user.
        Index("ix_operator_sessions_user", "user_id"),
        CheckConstraint(one_of("kind", SESSION_KINDS), name="kind"),
        CheckConstraint(one_of("role", ROLE_NAMES), name="role"),
    )


class OperatorRefresh(Base):
    """A refresh token of a session. Used once; used again, it gives its session away as stolen."""

    __tablename__ = "operator_refreshes"

    secret_hash: Mapped[str] = mapped_column(Words(64), primary_key=True)
    session_id: Mapped[UUID] = mapped_column(Id)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # ledger/sessions.py, what is swept with its session.
    __table_args__ = (Index("ix_operator_refreshes_session", "session_id"),)


class OperatorToken(Base):
    """A program's token: what it may do of what its user may, and until when."""

    __tablename__ = "operator_tokens"

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Words(100))
    secret_hash: Mapped[str] = mapped_column(Words(64))
    permissions: Mapped[Any] = mapped_column(JsonText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    parent_id: Mapped[UUID | None] = mapped_column(Id)
    """The token that made it, and ends it; none for one made by a session or at the command line."""

    __table_args__ = (
        # ledger/tokens.py, whose token is it.
        Index("uq_operator_tokens_secret", "secret_hash", unique=True),
        # ledger/family.py, what a user's tokens made.
        Index("ix_operator_tokens_user", "user_id"),
    )


class OperatorLimit(Base):
    """When somebody tried to sign in, by account and by address; a row is locked while it is counted."""

    __tablename__ = "operator_limits"

    key: Mapped[str] = mapped_column(Words(100), primary_key=True)
    moments: Mapped[Any] = mapped_column(JsonText)
    touched_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # ledger/limits.py, what is too old to count.
    __table_args__ = (Index("ix_operator_limits_touched", "touched_at"),)


class OperatorRequest(Base):
    """A request with an Idempotency-Key, and its answer; without one while nobody knows how it ended."""

    __tablename__ = "operator_requests"

    actor: Mapped[str] = mapped_column(Words(200), primary_key=True)
    key: Mapped[str] = mapped_column(Words(100), primary_key=True)
    scope: Mapped[str] = mapped_column(Words(16), primary_key=True, server_default="")
    """What the credential allowed, as a hash: a narrower one is not told what a wider one was."""
    fingerprint: Mapped[str] = mapped_column(Words(64))
    status: Mapped[int | None] = mapped_column(Number)
    answer: Mapped[str | None] = mapped_column(LongText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # ledger/requests.py, what is forgotten.
    __table_args__ = (Index("ix_operator_requests_created", "created_at"),)
