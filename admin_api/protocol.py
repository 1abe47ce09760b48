"""Protocol: HTTP/1.1 as uvicorn reads it with a parser in C, which knows no limit to a head; here is one."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 32_768
"""Source: decision; the longest query that is taken, cookies and a token, several times over."""
FRAMING = 16
"""What a body in chunks may bring along, beside what it is: a chunk of one byte has five of framing."""


class LimitedProtocol(HttpToolsProtocol):
    """Refuses a request with 400, and hangs up, when more has come of it than a head and its body's framing may be."""

    _taken = 0
    _body = 0

    def data_received(self, data: bytes) -> None:
        self._taken += len(data)
        super().data_received(data)
        beside = self._taken - self._body
        if beside > MAX_HEADER_BYTES + FRAMING * self._body and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._taken = self._body = 0
        super().on_message_complete()
