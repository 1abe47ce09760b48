"""The pages under a path of another application, behind its own authentication: an ASGI application to mount.

Inside, the addresses are those of the API's own server. This wrapper removes the mount's path from requests, and adds
it to the links, forms and redirects of responses.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, cast

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_api.app import make_routes
from admin_api.http.guard import Guard
from jobs.app import App
from jobs.errors import ConfigurationError
from jobs.operations.access import sign_in
from jobs.operations.access.access_errors import Unauthenticated
from jobs.operations.access.credentials import TOKEN_PREFIX
from jobs.operations.access.sign_in import Identity
from jobs.operations.audit.operator import MAX_NAME, ROLES, Operator, Permission

Visitor = tuple[str, str] | Operator | None
Who = Callable[[Request], Visitor | Awaitable[Visitor]]
"""Answers the user's name and role (``viewer``, ``operator`` or ``admin``), or the operator; None is nobody."""

_LINK = re.compile(rb'((?:href|src|action|formaction|hx-get|hx-post)=")/(?!/)')
_FOR_ALL = ("/static/", "/v1/callbacks/")
"""Files of the pages, and the one-time URLs that are given to systems without an account."""
_OWN_SIGN_IN = ("/sign-in", "/sign-out", "/account", "/link")


class MountedPages:
    """The ASGI application. ``who`` is asked for each request."""

    def __init__(self, app: App, who: Who) -> None:
        self.routes = make_routes(app)
        self._who = who
        # The application that mounts it knows its host names.
        self._inner: ASGIApp = Guard(self.routes, hosts=None, is_behind_tls=False, clock=app.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        root = str(scope.get("root_path", ""))
        path = str(scope["path"]).removeprefix(root) or "/"
        if path.startswith(_FOR_ALL):
            answer: ASGIApp = self._inner
        elif path.startswith(_OWN_SIGN_IN):
            answer = RedirectResponse("/", 303)
        elif path.startswith("/v1") and "authorization" in Request(scope).headers:
            answer = self._inner  # A program with a token.
        else:
            visitor = await visitor_of(self._who, Request(scope))
            answer = self._inner if visitor is not None else PlainTextResponse("Sign in first.", 401)
            if visitor is not None:
                scope = {**scope, "state": {**scope.get("state", {}), "given_identity": identity_of(visitor)}}
        inner = {**scope, "root_path": "", "path": path, "raw_path": path.encode()}
        await answer(inner, receive, _Rewritten(send, root) if root else send)

    async def close(self) -> None:
        """End what goes on in the background."""
        async with self.routes.router.lifespan_context(self.routes):
            pass


async def visitor_of(who: Who, request: Request) -> Visitor:
    """Whom the application names; a plain function is called on a thread."""
    if iscoroutinefunction(who):
        found: Visitor = await who(request)
        return found
    on_thread: Visitor = await run_in_threadpool(cast(Any, who), request)
    return on_thread


def allows_metrics(app: App, visitor: Visitor, authorization: str | None) -> bool:
    """Whether the user that the application names, or the token of the request, may read runs."""
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip().startswith(TOKEN_PREFIX):
        try:
            identity = sign_in.by_token(app, secret.strip())
        except Unauthenticated:
            return False
        return identity.operator.may(Permission.RUNS_READ)
    return visitor is not None and identity_of(visitor).operator.may(Permission.RUNS_READ)


def identity_of(visitor: Visitor) -> Identity:
    """The operator that the application names.

    Raises:
        ConfigurationError: there is no such role.
    """
    assert visitor is not None
    if isinstance(visitor, Operator):
        return Identity(visitor, user_id=None)
    name, role = visitor
    if role not in ROLES:
        raise ConfigurationError(f"There is no role {role!r}.", hint=f"Roles are: {', '.join(ROLES)}.")
    return Identity(Operator(str(name)[:MAX_NAME] or "?", ROLES[role]), user_id=None)


class _Rewritten:
    """Sends a response with the mount's path in its links."""

    def __init__(self, send: Send, root: str) -> None:
        self._send, self._root = send, root.encode()
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, self._moved(name, value)) for name, value in message["headers"]]
            message = {**message, "headers": headers}
            if any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers):
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            start, self._start = self._start, None
            body = _LINK.sub(rb"\1" + self._root + b"/", self._body)
            headers = [(name, value) for name, value in start["headers"] if name not in (b"content-length", b"etag")]
            await self._send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            message = {"type": "http.response.body", "body": body}
        await self._send(message)

    def _moved(self, name: bytes, value: bytes) -> bytes:
        is_address = name in (b"location", b"hx-redirect", b"hx-location") and value.startswith(b"/")
        return self._root + value if is_address else value
