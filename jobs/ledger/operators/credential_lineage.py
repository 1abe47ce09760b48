"""Which token made which tokens and users, and how those end with it.

The code that makes a token locks the rows of its user and of its parent token. The code that ends a token changes those
rows first and then looks for its children. So no child made meanwhile is missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update

from jobs.database.models import OperatorToken, OperatorUser
from jobs.database.sql import Executor, ledger_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What may stay of a token's children: tokens that allow no more, users of these roles, and one user's tokens."""

    permissions: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    user_id: UUID | None = None


def tokens_of(session: Executor, user_ids: Iterable[UUID]) -> set[UUID]:
    """The tokens of some users, valid or not."""
    return set(session.scalars(select(OperatorToken.id).where(OperatorToken.user_id.in_(list(user_ids)))))


def is_made_by(session: Executor, token_id: UUID, maker: UUID) -> bool:
    """Whether a token is ``maker``, or a descendant of it."""
    at: UUID | None = token_id
    while at is not None and at != maker:
        at = session.scalar(select(OperatorToken.parent_id).where(OperatorToken.id == at))
    return at == maker


def end_made(session: Executor, token_ids: Iterable[UUID], bounds: Bounds = Bounds()) -> tuple[int, int]:
    """End the descendants of these tokens, except those within ``bounds``; returns the numbers of tokens and users.

    A user that a token made is disabled.
    """
    frontier = set(token_ids)
    seen, tokens, users = set(frontier), 0, 0
    while frontier:
        made = session.execute(
            select(OperatorToken.id, OperatorToken.user_id, OperatorToken.permissions).where(
                OperatorToken.parent_id.in_(list(frontier))
            )
        ).all()
        people = session.execute(
            select(OperatorUser.id, OperatorUser.role).where(OperatorUser.parent_id.in_(list(frontier)))
        ).all()
        beyond = [
            one.id
            for one in made
            if one.user_id != bounds.user_id and not bounds.permissions.issuperset(one.permissions)
        ]
        strangers = [one.id for one in people if one.role not in bounds.roles]
        tokens += _revoke(session, beyond)
        users += _disable(session, strangers)
        frontier = ({one.id for one in made} | tokens_of(session, strangers)) - seen
        seen |= frontier
    return tokens, users


def _revoke(session: Executor, token_ids: list[UUID]) -> int:
    query = (
        update(OperatorToken)
        .where(OperatorToken.id.in_(token_ids), OperatorToken.revoked_at.is_(None))
        .values(revoked_at=ledger_now())
        .returning(OperatorToken.id)
    )
    return len(session.execute(query, {"now": None}).all())


def _disable(session: Executor, user_ids: list[UUID]) -> int:
    query = (
        update(OperatorUser)
        .where(OperatorUser.id.in_(user_ids), OperatorUser.disabled_at.is_(None))
        .values(disabled_at=ledger_now())
        .returning(OperatorUser.id)
    )
    return len(session.execute(query, {"now": None}).all())
