"""HTTP/1.1 by uvicorn's httptools protocol, with limits on the size of request heads and on slow clients.

uvicorn itself limits neither: of 100 connections that sent half a head, all are open after 12 seconds with its own
protocol, and none with this one. Source: ``benchmarks.web_layers``; ``benchmarks.sign_in_load`` measures what many such
connections cost others.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    # mypy sees no class here, because uvicorn types it as Any.
    from asyncio import Transport

MAX_HEADER_BYTES = 32_768
"""Source: decision; several times the longest accepted query plus cookies and a token."""
FRAMING = 16
"""The framing that a chunked body may add to its content: a chunk of one byte has five bytes of framing."""
HEAD_SECONDS, BODY_SECONDS, ANSWER_SECONDS = 10.0, 30.0, 120.0
"""Time limits for receiving a head, for receiving a body, and for making and sending a response. Source: decision; the
first two for a megabyte over a slow line, the last for four statements that all reach their own limit."""
MOST_CONNECTIONS = 500
"""Source: decision; below the 1,024 files that a process may open. Above it, the longest waiting one is closed."""
_place = itertools.count()
_TOO_SLOW, _FULL = (
    b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n%s\r\n" % parts
    for parts in ((b"408 Request Timeout", b""), (b"503 Service Unavailable", b"retry-after: 2\r\n"))
)


class LimitedProtocol(HttpToolsProtocol):
    """Answers 400 to requests that are too large and 408 to those that are too slow, and closes the connection."""

    _taken = 0
    _body = 0
    _deadline: asyncio.TimerHandle | None = None
    _waits: int | None = None
    """Its place among the connections without a complete request; None while a request is answered."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()
        if len(self.connections) > MOST_CONNECTIONS:
            _make_room(self.connections)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            # Between two requests, uvicorn's own keep-alive limit applies until data arrives.
            self._wait_for_head()
        self._taken += len(data)
        super().data_received(data)
        beside = self._taken - self._body
        if beside > MAX_HEADER_BYTES + FRAMING * self._body and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_headers_complete(self) -> None:
        # A head that came in one piece was parsed before its size was checked.
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADER_BYTES:
            raise ValueError("The request's head is too large.")
        self._end_within(BODY_SECONDS)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._taken = self._body = 0
        if self.cycle.response_complete:
            # The response was sent before the request was complete.
            self._wait_for_head()
        else:
            self._waits = None
            self._end_within(ANSWER_SECONDS)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # uvicorn limits the time until new data arrives, or answers requests that arrived already.
        self._waits = None if self.pipeline else next(_place)
        self._end_within(ANSWER_SECONDS if self.pipeline else None)
        super().on_response_complete()

    def close_connection(self, answer: bytes = b"") -> None:
        """Close the connection, whatever its state."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            # The client does not read the response: close() would wait for it.
            self.transport.abort()
        else:
            self.transport.write(answer)
            self.transport.close()

    def _wait_for_head(self) -> None:
        if self._waits is None:
            self._waits = next(_place)
        self._end_within(HEAD_SECONDS)

    def _end_within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.close_connection, _TOO_SLOW)


def _make_room(connections: set[Any]) -> None:
    """Close the connection that has waited longest for a complete request; if none waits, the newest."""
    waiting = [one for one in connections if one._waits is not None and not one.transport.is_closing()]
    oldest: LimitedProtocol = min(waiting, key=lambda one: one._waits)
    oldest.close_connection(_FULL)
