"""Tokens: credentials of programs. Each belongs to a user, has a part of their permissions, and ends at a date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.sql import Executor
from jobs.errors import Forbidden, NotFound
from jobs.formats.duration import format_duration
from jobs.formats.naming import WANTED, is_name
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import tokens
from jobs.ledger.operators.credential_lineage import end_made, is_made_by
from jobs.ledger.operators.tokens import TokenRecord
from jobs.operations.access.access_errors import CredentialRefused
from jobs.operations.access.authority import hold
from jobs.operations.access.credentials import hash_secret, new_token_secret
from jobs.operations.audit.entry import check_reason, record_entry
from jobs.operations.audit.operator import ROLES, Operator, Permission

LONGEST = timedelta(days=366)
"""Longest life of a token. Source: decision."""


def create_token(
    app: App,
    operator: Operator,
    *,
    user: str,
    name: str,
    permissions: Sequence[str],
    lasts: timedelta,
    reason: str | None = None,
    session: Executor | None = None,
) -> tuple[TokenRecord, str]:
    """Make a token of ``user``; only this call returns its secret.

    Args:
        session: make it in this transaction.

    Raises:
        Forbidden: it is another user's, and the operator may not manage users; or it would have permissions that the
            operator lacks.
        CredentialRefused: an invalid permission, name or span.
    """
    if session is None:
        with app.database.write(urgent=True) as connection:
            return create_token(
                app, operator, user=user, name=name, permissions=permissions, lasts=lasts, reason=reason,
                session=connection,
            )  # fmt: skip
    check_reason(app, reason)
    _check_owner(operator, user)
    wanted = _read(permissions)
    owner = hold(session, operator, [user]).get(user)
    now = ledger_moment(session)
    if owner is None or owner.is_disabled or (owner.expires_at is not None and owner.expires_at <= now):
        raise NotFound(f"There is no user {user} who may sign in.")
    beyond = sorted(one for one in wanted if one not in ROLES[owner.role] or not operator.may(one))
    if beyond:
        raise Forbidden(f"A token of {user} cannot allow {', '.join(beyond)}.", hint="Neither may its user, or you.")
    if not timedelta(0) < lasts <= LONGEST:
        raise CredentialRefused(f"A token lasts up to {format_duration(LONGEST)}, not {format_duration(lasts)}.")
    if not is_name(name.strip(), longest=100):
        raise CredentialRefused(f"A token's name is 1 to 100 {WANTED}, got {name[:100]!r}.")
    maker = operator.credential if operator.credential is not None and operator.credential.is_token else None
    until = now + lasts
    for parent, bound in (
        ("its user", owner.expires_at),
        ("the token that makes it", None if maker is None else maker.expires_at),
    ):
        if bound is not None and until > bound:
            raise CredentialRefused(
                f"A token cannot outlive {parent}, which ends {bound:%Y-%m-%d %H:%M} UTC.", hint="Ask for less."
            )
    secret, token_id = new_token_secret(), new_run_id()
    tokens.insert_token(
        session, token_id, user_id=owner.id, name=name.strip(), secret_hash=hash_secret(secret),
        permissions=sorted(wanted), expires_at=until, parent_id=None if maker is None else maker.id,
    )  # fmt: skip
    said = {"user": user, "name": name.strip(), "permissions": sorted(wanted)}
    record_entry(session, "create", operator, target=str(token_id), what="token", reason=reason, after=said)
    made = tokens.find_token(session, token_id)
    assert made is not None
    return made, secret


def revoke_token(app: App, operator: Operator, token_id: UUID, *, reason: str | None = None) -> TokenRecord:
    """End a token at once, and its descendants. One that has ended already is no error.

    Raises:
        NotFound: there is none, or none that the operator may end.
    """
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        token = tokens.find_token(connection, token_id)
        if token is None or not _may_end(connection, operator, token):
            raise NotFound(f"There is no token {token_id}.")
        is_ended = tokens.revoke(connection, token_id)
        children, people = end_made(connection, [token_id])
        if is_ended or children or people:
            after = {"tokens_made_by_it": children, "users_made_by_it": people} if children or people else None
            record_entry(connection, "revoke", operator, target=str(token_id), what="token", reason=reason, after=after)
        found = tokens.find_token(connection, token_id)
    assert found is not None
    return found


def list_tokens(
    app: App, operator: Operator, *, user: str | None = None, before: UUID | None = None, limit: int = 50
) -> list[TokenRecord]:
    """Tokens, newest first: all of them for operators who manage users, else one's own."""
    if not operator.may(Permission.USERS_WRITE):
        user = operator.name
    with app.database.read() as connection:
        return tokens.list_tokens(connection, user=user, before=before, limit=limit)


def _may_end(session: Executor, operator: Operator, token: TokenRecord) -> bool:
    """Operators who manage users may end all tokens, others their own; other tokens only themselves and descendants."""
    if operator.may(Permission.USERS_WRITE):
        return True
    by = operator.credential
    if by is not None and by.is_token:
        return is_made_by(session, token.id, by.id)
    return token.user == operator.name


def _check_owner(operator: Operator, user: str) -> None:
    if user != operator.name:
        operator.need(Permission.USERS_WRITE)


def _read(permissions: Sequence[str]) -> frozenset[Permission]:
    known = {one.value for one in Permission}
    unknown = sorted(set(permissions) - known)
    if unknown or not permissions:
        what = f"There is no permission {unknown[0]!r}." if unknown else "A token without a permission can do nothing."
        raise CredentialRefused(what, hint=f"Permissions: {', '.join(sorted(known))}.")
    return frozenset(Permission(one) for one in permissions)
