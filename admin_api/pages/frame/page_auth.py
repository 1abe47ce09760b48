"""Page authentication: the session cookie, and the check that a form was sent by our own page.

Behind TLS the cookie is ``__Host-jobledger``, which browsers send only to this host and only over TLS. Plain HTTP is
served only on this machine; browsers refuse such a cookie there, so it is ``jobledger-session``, without ``Secure``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import Response

from admin_api.http.access import count_act
from admin_api.http.origin import is_own
from admin_api.http.state import ApiState, api_state_of
from jobs.errors import Forbidden, JobsError
from jobs.operations.access import sign_in
from jobs.operations.access.access_errors import Unauthenticated
from jobs.operations.access.sign_in import PAGE_LIFETIME, Identity, Opened

MAX_FIELDS = 2000
"""Source: decision; enough for a page of 500 ticked runs."""


def cookie_name(api_state: ApiState) -> str:
    return "__Host-jobledger" if api_state.app.settings.api_behind_tls else "jobledger-session"


def remember(response: Response, api_state: ApiState, opened: Opened) -> None:
    """Set the session cookie."""
    response.set_cookie(
        cookie_name(api_state), opened.secret, max_age=int(PAGE_LIFETIME.total_seconds()), path="/", httponly=True,
        samesite="lax", secure=api_state.app.settings.api_behind_tls,
    )  # fmt: skip


def forget(response: Response, api_state: ApiState) -> None:
    response.delete_cookie(
        cookie_name(api_state), path="/", httponly=True, samesite="lax", secure=api_state.app.settings.api_behind_tls
    )  # fmt: skip


async def look(request: Request, api_state: ApiState) -> Identity:
    """The visitor: whom the application around names, where the pages are mounted; else by the session cookie.

    Raises:
        Unauthenticated: the visitor is not signed in.
    """
    given: Identity | None = request.scope.get("state", {}).get("given_identity")
    if given is not None:
        return given
    secret = request.cookies.get(cookie_name(api_state))
    if not secret:
        raise Unauthenticated("Sign in first.")
    return await run_in_threadpool(sign_in.by_cookie, api_state.app, secret)


# Async, because this is too quick to be worth a thread of the pool.
async def visitor(request: Request) -> Identity:
    """The visitor that ``CacheMiddleware`` identified.

    Raises:
        Unauthenticated: the visitor is not signed in.
    """
    found: Identity | JobsError = request.state.visitor
    if isinstance(found, JobsError):
        raise found
    return found


def is_ours(request: Request) -> bool:
    """Whether a page of this origin sent it, by browser headers that a page of another site cannot forge."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None and (origin != "null" or site is None):
        return is_own(request, origin)
    return site is not None


def from_us(request: Request) -> None:
    """Dependency of every handler that changes something.

    Raises:
        Forbidden: a page of another site, or a client that is not a browser, sent it.
    """
    if not is_ours(request):
        raise Forbidden(
            "This request did not come from a page of this site.", hint="Programs use the API: /v1, with a token."
        )


async def read_form(request: Request, ours: Annotated[None, Depends(from_us)]) -> AsyncIterator[FormData]:
    """The form, if a page of this site sent it. Drops the caches afterwards, because the ledger may have changed."""
    who = getattr(request.state, "visitor", None)
    if isinstance(who, Identity):
        count_act(request, who)
    try:
        yield await request.form(max_fields=MAX_FIELDS, max_files=0)
    finally:
        api_state_of(request).drop()


def local_path(given: str | None) -> str:
    """The redirect target: an address on this server, else the overview."""
    text = given or "/"
    is_local = text.startswith("/") and text[1:2] not in ("/", "\\") and text.isascii() and text.isprintable()
    return text if is_local and " " not in text else "/"


Visitor = Annotated[Identity, Depends(visitor)]
# Done before the response is sent, so that the next page shows the change.
Form = Annotated[FormData, Depends(read_form, scope="function")]
