"""Users: who may sign in, and with which role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select, update

from jobs.database.models import OperatorUser
from jobs.database.sql import Executor, dialect_of, insert_into, ledger_now


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """A user as read, without the hash of the password."""

    id: UUID
    name: str
    role: str
    created_at: datetime
    created_by: str
    password_set_at: datetime
    disabled_at: datetime | None
    expires_at: datetime | None = None
    parent_id: UUID | None = None

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None


def holds() -> ColumnElement[bool]:
    """Whether a user may sign in now."""
    return and_(
        OperatorUser.disabled_at.is_(None),
        or_(OperatorUser.expires_at.is_(None), OperatorUser.expires_at > ledger_now()),
    )


_COLUMNS = tuple(getattr(OperatorUser, name) for name in UserRecord.__dataclass_fields__)


def insert_user(
    session: Executor, user_id: UUID, *, name: str, password_hash: str, role: str, by: str,
    expires_at: datetime | None = None, parent_id: UUID | None = None,
) -> bool:  # fmt: skip
    """Add a user. False: the name is taken."""
    query = insert_into(dialect_of(session), OperatorUser).values(
        id=user_id, name=name, password_hash=password_hash, role=role, created_by=by,
        created_at=ledger_now(), password_set_at=ledger_now(), expires_at=expires_at, parent_id=parent_id,
    ).on_conflict_do_nothing(index_elements=["name"]).returning(OperatorUser.id)  # fmt: skip
    return session.execute(query, {"now": None}).one_or_none() is not None


def list_users(session: Executor, *, after: str = "", limit: int = 50) -> list[UserRecord]:
    """Users by name."""
    rows = session.execute(select(*_COLUMNS).where(OperatorUser.name > after).order_by(OperatorUser.name).limit(limit))
    return [UserRecord(**row._mapping) for row in rows]


def find_user(session: Executor, name: str) -> UserRecord | None:
    row = session.execute(select(*_COLUMNS).where(OperatorUser.name == name)).one_or_none()
    return None if row is None else UserRecord(**row._mapping)


def lock_users(session: Executor, names: Iterable[str]) -> dict[str, UserRecord]:
    """The existing ones of these users, locked until the transaction ends."""
    rows = session.execute(
        # In one order, so that two transactions cannot deadlock.
        select(*_COLUMNS).where(OperatorUser.name.in_(list(names))).order_by(OperatorUser.name).with_for_update()
    )
    return {row.name: UserRecord(**row._mapping) for row in rows}


def password_of(session: Executor, name: str) -> tuple[UserRecord, str] | None:
    """A user who may sign in, and the hash of the password."""
    row = session.execute(
        select(*_COLUMNS, OperatorUser.password_hash).where(OperatorUser.name == name, holds()),
        {"now": None},
    ).one_or_none()
    if row is None:
        return None
    found = dict(row._mapping)
    hashed = found.pop("password_hash")
    return UserRecord(**found), hashed


def change_user(session: Executor, name: str, **values: Any) -> UserRecord | None:
    """Set columns of a user; returns the changed user, or None if there is none."""
    row = session.execute(
        update(OperatorUser).where(OperatorUser.name == name).values(**values).returning(*_COLUMNS),
        {"now": None},
    ).one_or_none()  # fmt: skip
    return None if row is None else UserRecord(**row._mapping)


def set_password(session: Executor, name: str, password_hash: str) -> UserRecord | None:
    return change_user(session, name, password_hash=password_hash, password_set_at=ledger_now())


def set_disabled(session: Executor, name: str, is_disabled: bool) -> UserRecord | None:
    return change_user(session, name, disabled_at=ledger_now() if is_disabled else None)
