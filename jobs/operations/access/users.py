"""Users: create, change and disable them. There is no default user; the command line makes the first."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.sql import Executor
from jobs.errors import Conflict, Forbidden, NotFound
from jobs.formats.duration import MAX_DURATION, format_duration
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import sessions, users
from jobs.ledger.operators.credential_lineage import Bounds, end_made, tokens_of
from jobs.ledger.operators.users import UserRecord
from jobs.operations.access.access_errors import CredentialRefused
from jobs.operations.access.authority import check_still_admin, hold
from jobs.operations.access.credentials import check_password, hash_password, is_password
from jobs.operations.access.sign_in_limits import SignInAttempts
from jobs.operations.audit.entry import check_reason, record_entry
from jobs.operations.audit.operator import ROLES, Operator, Permission

NAME = re.compile(r"[a-z0-9][a-z0-9._@+\-]{0,99}")


def create_user(
    app: App,
    operator: Operator,
    name: str,
    *,
    password: str,
    role: str,
    reason: str | None = None,
    lasts: timedelta | None = None,
) -> UserRecord:
    """Add a user who may sign in, for ``lasts`` or until they are disabled.

    A user made by a token may do no more than the token, and ends with it.

    Raises:
        CredentialRefused: an invalid name, password, role or span.
        Conflict: the name is taken.
        Forbidden: the role may do more than the token that makes the user.
    """
    operator.need(Permission.USERS_WRITE)
    check_reason(app, reason)
    _check_role(role)
    plain = read_name(name)
    check_password(password, name=plain)
    if lasts is not None and not timedelta(0) < lasts <= MAX_DURATION:
        raise CredentialRefused(f"A user's life must be above zero and at most {format_duration(MAX_DURATION)}.")
    hashed = hash_password(password)
    with app.database.write(urgent=True) as connection:
        # First: an operator who manages users learns that the name is taken, whatever roles they may give.
        if plain in hold(connection, operator, [plain]):
            raise Conflict(f"There is a user {plain} already.")
        _check_role_within(operator, role)
        maker = operator.credential if operator.credential is not None and operator.credential.is_token else None
        until = None if lasts is None else ledger_moment(connection) + lasts
        if maker is not None:
            until = maker.expires_at if until is None else min(until, maker.expires_at)
        made = users.insert_user(
            connection, new_run_id(), name=plain, password_hash=hashed, role=role, by=operator.name,
            expires_at=until, parent_id=None if maker is None else maker.id,
        )  # fmt: skip
        if not made:
            raise Conflict(f"There is a user {plain} already.")
        said = {"role": role, **({} if until is None else {"expires_at": until.isoformat()})}
        record_entry(connection, "create", operator, target=plain, what="user", reason=reason, after=said)
        return _found(users.find_user(connection, plain), plain)


def reset_password(app: App, operator: Operator, name: str, *, password: str, reason: str | None = None) -> UserRecord:
    """Give a user another password; ends their sessions and links. Tokens stay: revoke them if they are compromised.

    Raises:
        NotFound: there is no such user.
        CredentialRefused: the password is easy to guess.
        Forbidden: a token asks; a sign-in with the new password would outlive it.
    """
    check_password(password, name=read_name(name))
    hashed = hash_password(password)

    def change(connection: Executor, user: UserRecord) -> UserRecord | None:
        if operator.credential is not None and operator.credential.is_token:
            raise Forbidden(
                "A token cannot set a password: a sign-in with it would outlive the token.", hint="Sign in."
            )
        return users.set_password(connection, user.name, hashed)

    return _change(app, operator, name, "reset", reason, change)


def change_own_password(app: App, operator: Operator, *, old: str, new: str, address: str | None = None) -> UserRecord:
    """Change one's own password; ends one's other sessions and links, but not this one.

    Raises:
        Conflict: the operator signed in without a password: with a token, or with a link without a user.
        CredentialRefused: the old one is wrong, or the new one is easy to guess.
        TooManyAttempts: the old one was wrong too often recently.
    """
    credential = operator.credential
    if credential is None or credential.is_token or credential.user_id is None:
        raise Conflict("You did not sign in as a user, so you have no password.", hint="jobledger users reset NAME.")
    check_password(new, name=operator.name)
    attempts, now = SignInAttempts.of(operator.name, address), app.clock.now()
    with app.database.write(urgent=True) as connection:
        attempts.check(connection, now)
        found = users.password_of(connection, operator.name)
    if found is None or not is_password(old, found[1]):
        raise CredentialRefused("The old password is wrong.")
    hashed = hash_password(new)
    with app.database.write(urgent=True) as connection:
        attempts.succeed(connection, now)
        user = _found(hold(connection, operator, [operator.name]).get(operator.name), operator.name)
        latest = users.password_of(connection, operator.name)
        if latest is None or latest[1] != found[1]:
            raise Conflict("The password was changed meanwhile.")
        after = _found(users.set_password(connection, user.name, hashed), user.name)
        sessions.revoke_user(connection, user.id, user.name, but=credential.id)
        record_entry(connection, "password", operator, target=user.name, what="user")
    return after


def disable_user(
    app: App, operator: Operator, name: str, *, is_disabled: bool = True, reason: str | None = None
) -> UserRecord:
    """Disable a user, or enable them again. Their sessions end at once; their tokens work again once enabled.

    Raises:
        NotFound: there is no such user.
        Conflict: it is you.
    """

    def change(connection: Executor, user: UserRecord) -> UserRecord | None:
        if user.name == operator.name and is_disabled:
            raise Conflict("You cannot disable yourself.", hint="Let another admin do it.")
        if is_disabled:
            check_still_admin(connection, operator)
            after = users.set_disabled(connection, user.name, True)
            # What their tokens made for others ends too; their own tokens do not work while they are disabled.
            end_made(connection, tokens_of(connection, [user.id]), Bounds(user_id=user.id))
            return after
        _check_role_within(operator, user.role)
        return users.set_disabled(connection, user.name, False)

    return _change(app, operator, name, "disable" if is_disabled else "enable", reason, change)


def change_role(app: App, operator: Operator, name: str, *, role: str, reason: str | None = None) -> UserRecord:
    """Give a user another role; it applies from the next request on.

    Raises:
        NotFound: there is no such user.
        CredentialRefused: there is no such role.
        Conflict: it is you.
    """
    _check_role(role)

    def change(connection: Executor, user: UserRecord) -> UserRecord | None:
        if user.name == operator.name:
            raise Conflict("You cannot change your own role.", hint="Let another admin do it.")
        check_still_admin(connection, operator)
        _check_role_within(operator, role)
        after = users.change_user(connection, user.name, role=role)
        allowed = ROLES[role]
        narrower = frozenset(one for one, permissions in ROLES.items() if permissions <= allowed)
        bounds = Bounds(permissions=frozenset(allowed), roles=narrower, user_id=user.id)
        end_made(connection, tokens_of(connection, [user.id]), bounds)
        return after

    return _change(app, operator, name, "role", reason, change)


def list_users(app: App, operator: Operator, *, after: str = "", limit: int = 50) -> list[UserRecord]:
    """Users by name, those after ``after``."""
    operator.need(Permission.USERS_WRITE)
    with app.database.read() as connection:
        return users.list_users(connection, after=after, limit=limit)


def find_user(app: App, operator: Operator, name: str) -> UserRecord:
    """The user of this name.

    Raises:
        NotFound: there is none.
    """
    operator.need(Permission.USERS_WRITE)
    with app.database.read() as connection:
        return _found(users.find_user(connection, name.strip().lower()), name)


def read_name(name: str) -> str:
    """A user's name in its stored form.

    Raises:
        CredentialRefused: it is not a valid name.
    """
    plain = name.strip().lower()
    if not NAME.fullmatch(plain):
        raise CredentialRefused(
            f"{name[:100]!r} is not a valid user name.", hint="Use letters, digits and . _ @ + -, at most 100 of them."
        )
    return plain


def _change(
    app: App,
    operator: Operator,
    name: str,
    verb: str,
    reason: str | None,
    change: Callable[[Executor, UserRecord], UserRecord | None],
) -> UserRecord:
    operator.need(Permission.USERS_WRITE)
    check_reason(app, reason)
    with app.database.write(urgent=True) as connection:
        plain = name.strip().lower()
        before = _found(hold(connection, operator, [plain]).get(plain), name)
        after = _found(change(connection, before), name)
        if verb in ("reset", "disable"):
            sessions.revoke_user(connection, before.id, before.name)
        record_entry(
            connection, verb, operator, target=before.name, what="user", reason=reason,
            before=_audited(before), after=_audited(after),
        )  # fmt: skip
    return after


def _check_role_within(operator: Operator, role: str) -> None:
    """Raises Forbidden if a token gives a role that may do more than the token."""
    if operator.credential is not None and not ROLES[role] <= operator.permissions:
        raise Forbidden(f"{operator.name} cannot give the role {role} with this.", hint="It allows more than they may.")


def _audited(user: UserRecord) -> dict[str, Any]:
    return {"role": user.role, "disabled": user.is_disabled}


def _found(user: UserRecord | None, name: str) -> UserRecord:
    if user is None:
        raise NotFound(f"There is no user {name[:100]}.", hint="jobledger users list shows those there are.")
    return user


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise CredentialRefused(f"There is no role {role!r}.", hint=f"One of: {', '.join(sorted(ROLES))}.")
