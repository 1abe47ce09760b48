"""HTTP/1.1 by uvicorn's httptools protocol, with a limit to the size of request heads."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    # No class of its own to mypy: uvicorn has it as what it is given.
    from asyncio import Transport

MAX_HEADER_BYTES = 32_768
"""Source: decision; the longest query that is taken, cookies and a token, several times over."""
FRAMING = 16
"""What a body in chunks may bring along, beside what it is: a chunk of one byte has five of framing."""
HEAD_SECONDS, BODY_SECONDS, ANSWER_SECONDS = 10.0, 30.0, 120.0
"""How long a head, then a body may take to come, and an answer to be made and taken. Source: decision; the first two
for a megabyte over a bad line, the last for four statements that all take as long as they may."""
MOST_CONNECTIONS = 500
"""Source: decision; below the 1,024 files that a process may open. Beyond it who has waited longest goes."""
_place = itertools.count()
_TOO_SLOW, _FULL = (
    b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n%s\r\n" % parts
    for parts in ((b"408 Request Timeout", b""), (b"503 Service Unavailable", b"retry-after: 2\r\n"))
)


class LimitedProtocol(HttpToolsProtocol):
    """Refuses what is too large with 400 and what is too slow with 408, and hangs up."""

    _taken = 0
    _body = 0
    _deadline: asyncio.TimerHandle | None = None
    _waits: int | None = None
    """Its place among those of which no whole request has come; None while one is answered."""

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
            # After a pause between two requests, for which uvicorn has a limit until something comes.
            self._wait_for_head()
        self._taken += len(data)
        super().data_received(data)
        beside = self._taken - self._body
        if beside > MAX_HEADER_BYTES + FRAMING * self._body and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_headers_complete(self) -> None:
        # A head that came in one piece was not looked at before it was read.
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
            # It was answered before it had come whole.
            self._wait_for_head()
        else:
            self._waits = None
            self._end_within(ANSWER_SECONDS)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # uvicorn has a limit for the pause until something comes, or answers what came meanwhile.
        self._waits = None if self.pipeline else next(_place)
        self._end_within(ANSWER_SECONDS if self.pipeline else None)
        super().on_response_complete()

    def hang_up(self, answer: bytes = b"") -> None:
        """End the connection, whatever goes on in it."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            # What is on its way is not taken: closing would wait for it.
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
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.hang_up, _TOO_SLOW)


def _make_room(connections: set[Any]) -> None:
    """End the connection that has waited longest for a request to come whole; all are answered: the newest."""
    waiting = [one for one in connections if one._waits is not None and not one.transport.is_closing()]
    oldest: LimitedProtocol = min(waiting, key=lambda one: one._waits)
    oldest.hang_up(_FULL)
