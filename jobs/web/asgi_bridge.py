"""Calls an ASGI application from plain code, for frameworks on WSGI: whole requests and responses, no streams."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

LIMIT_SECONDS = 60.0
"""How long a call may take. Source: decision; twice what a page may take."""


class BridgeAnswer(NamedTuple):
    """A response: headers have names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class AsgiBridge:
    """Calls one ASGI application on an event loop of its own thread, which starts with the first call.

    After a fork the child starts its own, because the thread stays with the parent. The application has a coroutine
    function ``close``.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inner: Any = None
        self._pid = 0

    def call(
        self,
        method: str,
        path: str,
        root: str,
        query: bytes,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        **more: Any,
    ) -> BridgeAnswer:
        """Send a request and wait for its response.

        Args:
            path: the whole path, with ``root``, where the application is mounted, at its beginning.
            more: entries of the request's ``scope``.

        Raises:
            TimeoutError: it took too long.
        """
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": root,
            "query_string": query,
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            "state": {},
            **more,
        }
        return asyncio.run_coroutine_threadsafe(self._call(scope, body), self._running()).result(LIMIT_SECONDS)

    def close(self) -> None:
        """Close the application, and end the thread; a later call makes both anew.

        Raises:
            TimeoutError: it took too long.
        """
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and self._pid == os.getpid():
            asyncio.run_coroutine_threadsafe(self._inner.close(), loop).result(LIMIT_SECONDS)
            loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._inner, self._pid = self._make(), os.getpid()
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="jobs-pages", daemon=True).start()
            return self._loop

    async def _call(self, scope: dict[str, Any], body: bytes) -> BridgeAnswer:
        parts: list[bytes] = []
        start: dict[str, Any] = {}

        unread = [body]

        async def receive() -> dict[str, Any]:
            if not unread:
                await asyncio.Event().wait()  # The client stays until it has the response.
            return {"type": "http.request", "body": unread.pop(), "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self._inner(scope, receive, send)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        return BridgeAnswer(start["status"], headers, b"".join(parts))
