"""ASGI middleware before every route: host names, size limits, request ids, headers, the access log.

Plain ASGI, so that it also sees the framework's responses to broken requests.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_api.http.envelope import failure
from jobs.clock import Clock
from jobs.runtime.context import correlate, request_id

log = logging.getLogger("jobs.api")

MAX_BODY_BYTES = 1_048_576
"""Source: decision; four times the largest arguments of the settings' default."""
LOCAL = ("localhost", "127.0.0.1", "[::1]")

SIGN_IN = frozenset({"/v1/sessions", "/sign-in"})
AGAIN, RETRY_AFTER = "Try again in a moment.", ((b"retry-after", b"2"),)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
HSTS = (b"strict-transport-security", b"max-age=31536000")


class Guard:
    """Wraps the application. ``hosts`` are the accepted host names, without ports, None for any; ``is_crowded`` tells
    whether the sign-in queue is full."""

    def __init__(
        self, inner: ASGIApp, *, hosts: Iterable[str] | None, is_behind_tls: bool, clock: Clock,
        is_crowded: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._inner = inner
        self._is_crowded = is_crowded
        self._hosts = None if hosts is None else frozenset(one.lower() for one in (*LOCAL, *hosts))
        self._headers = (*HEADERS, HSTS) if is_behind_tls else HEADERS
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Lifespan events pass; the framework refuses web sockets, since there are none.
            await self._inner(scope, receive, send)
            return
        await _Visit(self, scope, receive, send).run()


class _Visit:
    """One request."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard, self._scope, self._receive_next, self._send_next = guard, scope, receive, send
        self._given = {name: value for name, value in scope["headers"] if name in (b"x-request-id", b"host")}
        self._id = self._request_id()
        self._status = 0
        self._taken = 0
        self._began = guard._clock.monotonic()

    async def run(self) -> None:
        self._scope.setdefault("state", {})["request_id"] = self._id
        try:
            if not self._is_known_host():
                await self._fail(421, "wrong_host", "This server does not answer to that host name.")
            elif self._declared_length() > MAX_BODY_BYTES:
                await self._fail(413, "too_large", f"The request is larger than {MAX_BODY_BYTES:,} bytes.")
            elif self._signs_in() and self._guard._is_crowded():
                # Refused here, at a tenth of the framework's cost, because signed-in users' requests wait behind it.
                await self._fail(503, "overloaded", "Too many users are signing in.", hint=AGAIN, more=RETRY_AFTER)
            else:
                with correlate(self._id):
                    await self._guard._inner(self._scope, self._receive, self._send)
        except Exception:
            log.exception("Request failed with a bug", extra={"request_id": self._id})
            await self._fail(500, "bug", "This is a bug in jobledger.", hint="Search the log for the request id.")
        finally:
            self._log()

    def _request_id(self) -> str:
        return request_id(self._given.get(b"x-request-id", b"").decode("latin-1"))

    def _is_known_host(self) -> bool:
        if sum(name == b"host" for name, _ in self._scope["headers"]) > 1:
            # With two headers, a proxy may read the first one and this server the last.
            return False
        given = self._given.get(b"host", b"").decode("latin-1").lower()
        name = given.rpartition(":")[0] if re.search(r":\d+$", given) else given
        return self._guard._hosts is None or name in self._guard._hosts

    def _signs_in(self) -> bool:
        return self._scope["method"] == "POST" and self._scope["path"] in SIGN_IN

    def _declared_length(self) -> int:
        said = next((value for name, value in self._scope["headers"] if name == b"content-length"), b"0")
        return int(said) if said.isdigit() else 0

    async def _receive(self) -> Message:
        message = await self._receive_next()
        self._taken += len(message.get("body", b""))
        if self._taken > MAX_BODY_BYTES:
            # The framework passes this exception on, and turns any other into a 400.
            raise HTTPException(413)
        return message

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            said = {name.lower() for name, _ in message["headers"]}
            more = [one for one in self._guard._headers if one[0] not in said]
            if b"cache-control" not in said:
                more.append((b"cache-control", b"no-store"))
            message["headers"] = [*message["headers"], *more, (b"x-request-id", self._id.encode())]
        await self._send_next(message)

    async def _fail(
        self, status: int, code: str, message: str, *, hint: str | None = None,
        more: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:  # fmt: skip
        if self._status:
            return  # The response has started; the server closes the connection.
        body = json.dumps(failure(code, message, request_id=self._id, hint=hint)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _log(self) -> None:
        route = self._scope.get("route")
        who = self._scope.get("state", {}).get("operator")
        log.info(
            "Answered",
            extra={
                "request_id": self._id,
                "method": self._scope["method"],
                # The route's template instead of the path, because clients choose paths.
                "route": getattr(route, "path", None),
                "status": self._status,
                "duration_ms": round((self._guard._clock.monotonic() - self._began) * 1e3, 1),
                "operator": who.name if who is not None else None,
            },
        )
