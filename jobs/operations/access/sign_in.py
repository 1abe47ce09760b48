"""Sign-in: a name and a password give a session, and a session gives an operator. Secrets are stored as hashes.

A page's session is a cookie. The API's session is a chain of refresh tokens, each used once: a token that is used a
second time was stolen, and ends the session.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id, new_secret
from jobs.database.sql import Executor
from jobs.errors import Forbidden
from jobs.ledger.moment import ledger_moment
from jobs.ledger.operators import sessions, tokens, users
from jobs.ledger.operators.sessions import SessionRecord
from jobs.ledger.operators.users import UserRecord
from jobs.operations.access.access_errors import TooManyAttempts, Unauthenticated
from jobs.operations.access.credentials import hash_secret, is_password
from jobs.operations.access.sign_in_limits import SignInAttempts
from jobs.operations.audit.entry import record_entry
from jobs.operations.audit.operator import READS, ROLES, Credential, Operator, Permission

log = logging.getLogger("jobs.access")

PAGE_LIFETIME, PAGE_IDLE = timedelta(hours=12), timedelta(hours=2)
FAMILY_LIFETIME, REFRESH_LIFETIME = timedelta(days=30), timedelta(days=7)
LINK_LIFETIME = timedelta(minutes=10)
NOBODY = "(nobody)"
"""The actor of a failed sign-in in the audit."""
SEEN_EVERY = timedelta(minutes=1)
"""Precision of ``seen_at``: one write per minute and session, not one per request. Source: decision."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The authenticated operator, with their user and session if there are any."""

    operator: Operator
    user_id: UUID | None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just opened. ``secret`` is the cookie, or the refresh token; it is not stored."""

    identity: Identity
    secret: str


def sign_in(app: App, name: str, password: str, *, kind: str, address: str | None = None) -> Opened:
    """Open a ``page`` or an ``api`` session. Writes audit entries, for failures too.

    Raises:
        Unauthenticated: the name or the password is wrong; neither message nor response time tells which.
        TooManyAttempts: the account from this address, or the address, has failed too often recently.
        ServiceDown: this process already checks as many passwords as it may.
    """
    plain = name.strip().lower()[:200]
    now = app.clock.now()
    attempts = SignInAttempts.of(plain, address)
    try:
        with app.database.write(urgent=True) as connection:
            attempts.check(connection, now)
            found = users.password_of(connection, plain)
    except TooManyAttempts:
        log.warning("Too many sign-in attempts", extra={"address": address})
        raise
    user, hashed = found if found is not None else (None, None)
    # Outside the transaction: by design it takes a tenth of a second.
    is_right = is_password(password, hashed)
    if not is_right or user is None:
        _count_failure(app, attempts, user, now=now, address=address)
        raise Unauthenticated("The name or the password is wrong.")
    with app.database.write(urgent=True) as connection:
        attempts.succeed(connection, now)
        sessions.sweep(connection)
        # The user was disabled, or got another password, while the typed one was hashed.
        latest = users.password_of(connection, plain)
        if latest is None or latest[1] != hashed:
            raise Unauthenticated("The name or the password is wrong.")
        user = latest[0]
        opened = _open(app, connection, kind, user=user, actor=user.name, role=user.role, address=address)
        _audit_opened(connection, opened, kind, address=address)
    log.info("Signed in", extra={"operator": user.name, "kind": kind, "address": address})
    return opened


def make_link(app: App, operator: Operator) -> str:
    """A secret that signs ``operator`` in once, within ten minutes: for the operator at the shell.

    As an admin; with the name of a user as that user, whose end also ends the link.

    Raises:
        Forbidden: the user of that name may not sign in.
    """
    operator.need(Permission.USERS_WRITE)
    with app.database.write(urgent=True) as connection:
        user = users.lock_users(connection, [operator.name]).get(operator.name)
        if user is not None and users.password_of(connection, user.name) is None:
            raise Forbidden(
                f"The user {user.name} may not sign in.",
                hint=f"jobledger users enable {user.name}, or another name in JOBS_ACTOR.",
            )
        role = "admin" if user is None else user.role
        opened = _open(app, connection, "link", user=user, actor=operator.name, role=role)
        record_entry(connection, "link", operator, target=operator.name, what="user")
    return opened.secret


def sign_in_by_link(app: App, secret: str, *, address: str | None = None) -> Opened:
    """Open a page session by a link.

    Raises:
        Unauthenticated: the link is invalid, over or used, or its user may not sign in.
    """
    with app.database.write(urgent=True) as connection:
        link = sessions.use_link(connection, hash_secret(secret))
        if link is None:
            raise Unauthenticated("This link is no longer valid.", hint="Ask for another: jobledger api link.")
        user = None if link.user_id is None else users.find_user(connection, link.actor)
        opened = _open(
            app, connection, "page", user=user, actor=link.actor, role=link.role, address=address, parent_id=link.id
        )
        _audit_opened(connection, opened, "link", address=address)
    log.info("Signed in by a link", extra={"operator": link.actor, "address": address})
    return opened


def refresh(app: App, secret: str) -> Opened:
    """Exchange the last refresh token of a session for the next one.

    Raises:
        Unauthenticated: it is invalid, over, or was used before; in that case its whole session ends.
    """
    following = new_secret()
    is_stolen, found = False, None
    with app.database.write(urgent=True) as connection:
        session_id, is_stolen = sessions.use_refresh(connection, hash_secret(secret))
        if session_id is not None and is_stolen:
            sessions.revoke(connection, session_id)
        elif session_id is not None:
            found = sessions.by_id(connection, session_id)
            if found is not None:
                sessions.add_refresh(connection, hash_secret(following), session_id, lasts=REFRESH_LIFETIME)
                sessions.see(connection, session_id)
    if is_stolen:
        log.warning("Refresh token reused: session ended", extra={"session": str(session_id)})
    if found is None:
        raise Unauthenticated("The refresh token is not valid.", hint="Sign in again.")
    return Opened(_identity(app, found), following)


def by_cookie(app: App, secret: str) -> Identity:
    """The identity of the page session with this cookie.

    Raises:
        Unauthenticated: there is no such session.
    """
    with app.database.read() as connection:
        found = sessions.by_secret(connection, hash_secret(secret), kind="page", idle=PAGE_IDLE)
    if found is None:
        raise Unauthenticated("The session is over.", hint="Sign in again.")
    if app.clock.now() - found.seen_at > SEEN_EVERY:
        with app.database.write(urgent=True) as connection:
            sessions.see(connection, found.id)
    return _identity(app, found)


def by_session(app: App, session_id: UUID) -> Identity:
    """The identity of the API session that an access token names.

    Raises:
        Unauthenticated: it was ended, or its user disabled.
    """
    with app.database.read() as connection:
        found = sessions.by_id(connection, session_id)
    if found is None:
        raise Unauthenticated("The session is over.", hint="Sign in again.")
    return _identity(app, found)


def by_token(app: App, secret: str) -> Identity:
    """The identity of this token, limited to the token's permissions.

    Raises:
        Unauthenticated: it is invalid or over, or its user is disabled.
    """
    with app.database.read() as connection:
        found = tokens.by_secret(connection, hash_secret(secret))
    if found is None:
        raise Unauthenticated("The token is not valid.")
    if found.used_at is None or app.clock.now() - found.used_at > SEEN_EVERY:
        with app.database.write(urgent=True) as connection:
            tokens.see(connection, found.id)
    allowed = frozenset(one for one in ROLES[found.role] if one in found.permissions)
    credential = Credential("token", found.id, found.user_id, found.expires_at)
    return Identity(_operator(app, found.user, allowed, credential), found.user_id)


def sign_out(app: App, session_id: UUID) -> None:
    """End a session; one that has ended already is no error."""
    with app.database.write(urgent=True) as connection:
        sessions.revoke(connection, session_id)


def _open(
    app: App,
    connection: Executor,
    kind: str,
    *,
    user: UserRecord | None,
    actor: str,
    role: str,
    address: str | None = None,
    parent_id: UUID | None = None,
) -> Opened:
    secret, session_id = new_secret(), new_run_id()
    lasts = {"page": PAGE_LIFETIME, "api": FAMILY_LIFETIME, "link": LINK_LIFETIME}[kind]
    now = ledger_moment(connection)
    until = now + lasts
    if user is not None and user.expires_at is not None:
        until = min(until, user.expires_at)
    user_id = None if user is None else user.id
    sessions.open_session(
        connection, session_id, kind=kind, user_id=user_id, actor=actor, role=role,
        # The API's session is found by its id, and its refresh tokens have rows of their own.
        secret_hash=hash_secret(new_secret() if kind == "api" else secret), lasts=until - now,
        address=None if address is None else address[:64], parent_id=parent_id,
    )  # fmt: skip
    if kind == "api":
        sessions.add_refresh(connection, hash_secret(secret), session_id, lasts=REFRESH_LIFETIME)
    credential = Credential("session", session_id, user_id, until)
    return Opened(Identity(_operator(app, actor, ROLES[role], credential), user_id, session_id), secret)


def _audit_opened(connection: Executor, opened: Opened, kind: str, *, address: str | None) -> None:
    by, session_id = opened.identity.operator, opened.identity.session_id
    said = {"by": kind, "session": str(session_id), "address": address}
    record_entry(connection, "sign_in", by, target=by.name, what="user", after=said)


def _count_failure(
    app: App, attempts: SignInAttempts, user: UserRecord | None, *, now: datetime, address: str | None
) -> None:
    """Count the failure, and audit it if the user exists: any other typed name may be a password."""
    with app.database.write(urgent=True) as connection:
        number = attempts.fail(connection, now)
        if user is not None and number is not None:
            said = {"address": address, "failures": number}
            record_entry(connection, "sign_in_failed", Operator(NOBODY), target=user.name, what="user", after=said)
    log.warning("Sign-in failed", extra={"address": address})


def _identity(app: App, found: SessionRecord) -> Identity:
    credential = Credential("session", found.id, found.user_id, found.expires_at)
    return Identity(_operator(app, found.actor, ROLES[found.role], credential), found.user_id, found.id)


def _operator(app: App, name: str, permissions: frozenset[Permission], credential: Credential) -> Operator:
    operator = Operator(name, permissions, credential)
    return replace(operator, permissions=permissions & READS) if app.settings.api_read_only else operator
