"""Authentication: a bearer's access token (a JWT of 15 minutes) or machine token, or a page's cookie.

The JWT names the session. Each request reads the session and its user's rights from the ledger, so that a
revocation takes effect at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from admin_api.http.state import ApiState, api_state_of
from jobs.operations.access import sign_in
from jobs.operations.access.access_errors import Unauthenticated
from jobs.operations.access.credentials import TOKEN_PREFIX
from jobs.operations.access.sign_in import Identity
from jobs.operations.audit.operator import Operator

ACCESS_LIFETIME = timedelta(minutes=15)
ALGORITHM, ISSUER = "HS256", "jobledger"
READING = frozenset({"GET", "HEAD"})
NOT_COUNTED = ("/v1/sessions", "/sign-out", "/theme")
bearer = HTTPBearer(auto_error=False, description="An access token from POST /v1/sessions, or a machine token.")


def write_access(api_state: ApiState, identity: Identity) -> str:
    """An access token for a session."""
    now = api_state.app.clock.now()
    claims = {
        "iss": ISSUER,
        "sub": identity.operator.name,
        "sid": str(identity.session_id),
        "iat": now,
        "exp": now + ACCESS_LIFETIME,
    }
    return jwt.encode(claims, api_state.signing_key, algorithm=ALGORITHM)


def read_access(api_state: ApiState, token: str) -> UUID:
    """The session of an access token.

    Raises:
        Unauthenticated: the token is not ours, was changed, or has expired.
    """
    try:
        claims = jwt.decode(
            token, api_state.signing_key, algorithms=[ALGORITHM], issuer=ISSUER,
            options={"require": ["exp", "iat", "sub", "sid"], "verify_exp": False, "verify_iat": False},
        )  # fmt: skip
        session_id, until = UUID(str(claims["sid"])), float(claims["exp"])
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
        raise Unauthenticated("The access token is not valid.", hint="Sign in, or refresh.") from None
    # Checked by the App's clock, like all other times.
    if api_state.app.clock.now().timestamp() >= until:
        raise Unauthenticated("The access token has expired.", hint="Refresh it: POST /v1/sessions/refreshes.")
    return session_id


def identify(request: Request, given: Annotated[object, Depends(bearer)] = None) -> Identity:
    """The identity that sends an API request.

    Raises:
        Unauthenticated: no valid credential.
        TooManyRequests: the request changes something, and the credential or user sent too many of those.
    """
    api_state = api_state_of(request)
    # Read from the request instead of the scheme, to refuse a header that comes twice.
    headers = request.headers.getlist("authorization")
    if len(headers) != 1:
        raise Unauthenticated("Authentication is required.", hint="Authorization: Bearer TOKEN.")
    scheme, _, secret = headers[0].partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("Authentication is required.", hint="Authorization: Bearer TOKEN.")
    secret = secret.strip()
    if secret.startswith(TOKEN_PREFIX):
        identity = sign_in.by_token(api_state.app, secret)
    else:
        identity = sign_in.by_session(api_state.app, read_access(api_state, secret))
    request.state.operator = identity.operator
    count_act(request, identity)
    return identity


def count_act(request: Request, identity: Identity) -> None:
    """Count a request that changes something, once per request; signing out is not counted.

    Raises:
        TooManyRequests: the credential, or its user, sent too many requests.
    """
    is_act = request.method not in READING and not request.url.path.startswith(NOT_COUNTED)
    if is_act and not getattr(request.state, "is_counted", False):
        api_state_of(request).rates.take(identity.operator)
        request.state.is_counted = True


async def operator_of(identity: Annotated[Identity, Depends(identify)]) -> Operator:
    return identity.operator


async def address_of(request: Request) -> str | None:
    """The client's address; behind a trusted proxy, the address that the proxy reports.

    None if unknown: behind a proxy that is not configured, all requests come from the same address.
    """
    settings = api_state_of(request).app.settings
    if request.client is None or (settings.api_behind_tls and not settings.api_proxies):
        return None
    return request.client.host


Who = Annotated[Identity, Depends(identify)]
By = Annotated[Operator, Depends(operator_of)]
Address = Annotated[str | None, Depends(address_of)]
