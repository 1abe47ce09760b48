"""Users: making, disabling and changing them. No user is there by itself; the first is made at the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jobs.app import App
from jobs.clock import new_run_id
from jobs.credentials import check_password, hash_password
from jobs.errors import Conflict, CredentialRefused, NotFound
from jobs.ledger import sessions, users
from jobs.ledger.users import User
from jobs.operations.note import check_reason, note
from jobs.operations.operator import ROLES, Operator, Permission
from jobs.sql import Executor

NAME = re.compile(r"[a-z0-9][a-z0-9._@+\-]{0,99}")


def create_user(
    app: App, operator: Operator, name: str, *, password: str, role: str, reason: str | None = None
) -> User:
    """Add a user who may sign in.

    Raises:
        CredentialRefused: a name, password or role that cannot be.
        Conflict: the name is taken.
    """
    operator.need(Permission.USERS_WRITE)
    check_reason(app, reason)
    _check_role(role)
    plain = read_name(name)
    check_password(password, name=plain)
    hashed = hash_password(password)
    with app.database.write(urgent=True) as connection:
        made = users.insert_user(
            connection, new_run_id(), name=plain, password_hash=hashed, role=role, by=operator.name
        )  # fmt: skip
        if not made:
            raise Conflict(f"There is a user {plain} already.")
        note(connection, "create", operator, target=plain, what="user", reason=reason, after={"role": role})
        return _found(users.find_user(connection, plain), plain)


def reset_password(app: App, operator: Operator, name: str, *, password: str, reason: str | None = None) -> User:
    """Give a user another password; every session of theirs ends. Tokens stay: revoke them if they are known.

    Raises:
        NotFound: there is no such user.
        CredentialRefused: the password is easy to guess.
    """
    check_password(password, name=read_name(name))
    hashed = hash_password(password)
    return _change(
        app, operator, name, "reset", reason, lambda connection, user: users.set_password(connection, user.name, hashed)
    )


def disable_user(
    app: App, operator: Operator, name: str, *, is_disabled: bool = True, reason: str | None = None
) -> User:
    """Let a user sign in no more, or again; sessions and tokens end at once, and tokens hold again when enabled.

    Raises:
        NotFound: there is no such user.
        Conflict: it is you.
    """

    def change(connection: Executor, user: User) -> User | None:
        if user.name == operator.name and is_disabled:
            raise Conflict("You cannot disable yourself.", hint="Let another admin do it.")
        return users.set_disabled(connection, user.name, is_disabled)

    return _change(app, operator, name, "disable" if is_disabled else "enable", reason, change)


def change_role(app: App, operator: Operator, name: str, *, role: str, reason: str | None = None) -> User:
    """Give a user another role; it holds from the next request on.

    Raises:
        NotFound: there is no such user.
        CredentialRefused: there is no such role.
        Conflict: it is you.
    """
    _check_role(role)

    def change(connection: Executor, user: User) -> User | None:
        if user.name == operator.name:
            raise Conflict("You cannot change your own role.", hint="Let another admin do it.")
        return users.change_user(connection, user.name, role=role)

    return _change(app, operator, name, "role", reason, change)


def list_users(app: App, operator: Operator, *, after: str = "", limit: int = 50) -> list[User]:
    """Users by name, those after ``after``."""
    operator.need(Permission.USERS_WRITE)
    with app.database.read() as connection:
        return users.list_users(connection, after=after, limit=limit)


def find_user(app: App, operator: Operator, name: str) -> User:
    """The user of this name.

    Raises:
        NotFound: there is none.
    """
    operator.need(Permission.USERS_WRITE)
    with app.database.read() as connection:
        return _found(users.find_user(connection, name.strip().lower()), name)


def read_name(name: str) -> str:
    """A user's name as it is kept.

    Raises:
        CredentialRefused: it cannot be one.
    """
    plain = name.strip().lower()
    if not NAME.fullmatch(plain):
        raise CredentialRefused(
            f"{name[:100]!r} is no name of a user.", hint="Use letters, digits and . _ @ + -, at most 100 of them."
        )
    return plain


def _change(
    app: App,
    operator: Operator,
    name: str,
    verb: str,
    reason: str | None,
    change: Callable[[Executor, User], User | None],
) -> User:
    operator.need(Permission.USERS_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        before = _found(users.find_user(connection, name.strip().lower()), name)
        after = _found(change(connection, before), name)
        if verb in ("reset", "disable"):
            sessions.revoke_user(connection, before.id)
        note(
            connection, verb, operator, target=before.name, what="user", reason=reason,
            before=_said(before), after=_said(after),
        )  # fmt: skip
    return after


def _said(user: User) -> dict[str, Any]:
    return {"role": user.role, "disabled": user.is_disabled}


def _found(user: User | None, name: str) -> User:
    if user is None:
        raise NotFound(f"There is no user {name[:100]}.", hint="jobledger users list shows those there are.")
    return user


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise CredentialRefused(f"There is no role {role!r}.", hint=f"One of: {', '.join(sorted(ROLES))}.")
