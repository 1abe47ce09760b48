"""Sign in: from a name and a password to a session, from a session to who asks. Every secret is kept as a hash.

A page's session is a cookie. The API's is a family of refresh tokens, each used once: one that comes again was
stolen, and ends the family.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from uuid import UUID

from jobs.app import App
from jobs.clock import new_run_id, new_secret
from jobs.credentials import hash_secret, is_password
from jobs.duration import format_duration
from jobs.errors import TooManyTries, Unauthenticated
from jobs.ledger import limits, sessions, tokens, users
from jobs.ledger.sessions import SessionRecord
from jobs.operations.operator import READS, ROLES, Operator, Permission

log = logging.getLogger("jobs.access")

MOST_TRIES, TRIES_WITHIN = 5, timedelta(minutes=15)
"""Failed tries an account, and an address. Source: the issue that asked for it."""
PAGE_LASTS, PAGE_IDLE = timedelta(hours=12), timedelta(hours=2)
FAMILY_LASTS, REFRESH_LASTS = timedelta(days=30), timedelta(days=7)
LINK_LASTS = timedelta(minutes=10)
SEEN_EVERY = timedelta(minutes=1)
"""How exact ``seen_at`` is: a write a minute and session, not one a request."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: the operator, their user if there is one, and the session if it is one."""

    operator: Operator
    user_id: UUID | None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just opened. ``secret`` is the cookie, or the refresh token; it is kept nowhere."""

    identity: Identity
    secret: str


def sign_in(app: App, name: str, password: str, *, kind: str, address: str | None = None) -> Opened:
    """Open a ``page`` or an ``api`` session.

    Raises:
        Unauthenticated: the name or the password is wrong; which of them is not said, nor by the time it takes.
        TooManyTries: the account, or the address, has failed too often of late.
    """
    plain = name.strip().lower()[:200]
    now = app.clock.now()
    keys = _limit_keys(plain, address)
    with app.database.write(urgent=True) as connection:
        wait = limits.try_once(connection, keys, now=now, most=MOST_TRIES, within=TRIES_WITHIN)
        found = None if wait is not None else users.password_of(connection, plain)
    if wait is not None:
        log.warning("Signing in was tried too often.", extra={"address": address})
        span = format_duration(timedelta(seconds=ceil(wait)))
        raise TooManyTries("Signing in was tried too often.", retry_after_seconds=ceil(wait), hint=f"Wait {span}.")
    user, hashed = found if found is not None else (None, None)
    # Outside the transaction: it takes a tenth of a second, by design.
    if not is_password(password, hashed) or user is None:
        log.warning("Signing in failed.", extra={"address": address})
        raise Unauthenticated("The name or the password is wrong.")
    with app.database.write(urgent=True) as connection:
        limits.forget(connection, keys[0])
        for key in keys[1:]:
            limits.forget(connection, key, moment=now)
        limits.sweep(connection, before=now - TRIES_WITHIN)
        sessions.sweep(connection)
    log.info("Signed in.", extra={"operator": user.name, "kind": kind, "address": address})
    return _open(app, kind, user_id=user.id, actor=user.name, role=user.role, address=address)


def make_link(app: App, operator: Operator) -> str:
    """A secret that signs ``operator`` in once, within ten minutes, as an admin: for the one who is at the shell."""
    operator.need(Permission.USERS_WRITE)
    return _open(app, "link", user_id=None, actor=operator.name, role="admin").secret


def sign_in_by_link(app: App, secret: str, *, address: str | None = None) -> Opened:
    """Open a page session by a link.

    Raises:
        Unauthenticated: it is none, it is over, or it was used.
    """
    with app.database.write(urgent=True) as connection:
        link = sessions.use_link(connection, hash_secret(secret))
    if link is None:
        raise Unauthenticated("This link does not sign in any more.", hint="Ask for another: jobledger api link.")
    log.info("Signed in by a link.", extra={"operator": link.actor, "address": address})
    return _open(app, "page", user_id=None, actor=link.actor, role=link.role, address=address)


def refresh(app: App, secret: str) -> Opened:
    """The next refresh token of a family, for the last one.

    Raises:
        Unauthenticated: it is none, it is over, or it was used before; in that case its whole family ends.
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
                sessions.add_refresh(connection, hash_secret(following), session_id, lasts=REFRESH_LASTS)
                sessions.see(connection, session_id)
    if is_stolen:
        log.warning("A refresh token came twice: its session was ended.", extra={"session": str(session_id)})
    if found is None:
        raise Unauthenticated("The refresh token does not serve.", hint="Sign in again.")
    return Opened(_identity(app, found), following)


def by_cookie(app: App, secret: str) -> Identity:
    """Who has the page session of this cookie.

    Raises:
        Unauthenticated: nobody.
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
    """Who has the API session that an access token names.

    Raises:
        Unauthenticated: nobody: it was ended, or its user disabled.
    """
    with app.database.read() as connection:
        found = sessions.by_id(connection, session_id)
    if found is None:
        raise Unauthenticated("The session is over.", hint="Sign in again.")
    return _identity(app, found)


def by_token(app: App, secret: str) -> Identity:
    """Who has this token, with what it allows of what they may.

    Raises:
        Unauthenticated: it is none, it is over, or its user is disabled.
    """
    with app.database.read() as connection:
        found = tokens.by_secret(connection, hash_secret(secret))
    if found is None:
        raise Unauthenticated("The token does not serve.")
    if found.used_at is None or app.clock.now() - found.used_at > SEEN_EVERY:
        with app.database.write(urgent=True) as connection:
            tokens.see(connection, found.id)
    allowed = frozenset(one for one in ROLES[found.role] if one in found.permissions)
    return Identity(_operator(app, found.user, allowed), found.user_id)


def sign_out(app: App, session_id: UUID) -> None:
    """End a session; one that has ended stays so."""
    with app.database.write(urgent=True) as connection:
        sessions.revoke(connection, session_id)


def _open(app: App, kind: str, *, user_id: UUID | None, actor: str, role: str, address: str | None = None) -> Opened:
    secret, session_id = new_secret(), new_run_id()
    lasts = {"page": PAGE_LASTS, "api": FAMILY_LASTS, "link": LINK_LASTS}[kind]
    with app.database.write(urgent=True) as connection:
        sessions.open_session(
            connection, session_id, kind=kind, user_id=user_id, actor=actor, role=role,
            # The API's session is found by its id, and its refresh tokens have rows of their own.
            secret_hash=hash_secret(new_secret() if kind == "api" else secret), lasts=lasts,
            address=None if address is None else address[:64],
        )  # fmt: skip
        if kind == "api":
            sessions.add_refresh(connection, hash_secret(secret), session_id, lasts=REFRESH_LASTS)
    return Opened(Identity(_operator(app, actor, ROLES[role]), user_id, session_id), secret)


def _identity(app: App, found: SessionRecord) -> Identity:
    return Identity(_operator(app, found.actor, ROLES[found.role]), found.user_id, found.id)


def _operator(app: App, name: str, permissions: frozenset[Permission]) -> Operator:
    operator = Operator(name, permissions)
    return replace(operator, permissions=permissions & READS) if app.settings.api_read_only else operator


def _limit_keys(name: str, address: str | None) -> list[str]:
    """By account and by address. Names are hashed, for they may be long; an IPv6 network is one address."""
    keys = [f"account:{hashlib.sha256(name.encode()).hexdigest()[:40]}"]
    if address is not None:
        keys.append(f"address:{_network(address)}"[:100])
    return keys


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
