"""Control channel between a supervisor and a process: JSON lines over a socket, in both directions.

Supervisor to process: ``{"do": "ping"}``, ``{"do": "stop", "seconds": 25.0}``, ``{"do": "stop_now"}``, ``{"do":
"drain"}``, ``{"do": "clean_up", "dead_processes": [...]}``. Process to supervisor: ``{"say": "ready"}``, ``{"say":
"pong", ...}``, ``{"say": "cleaned_up", "name": ...}``, ``{"say": "draining", "why": ...}``
(it leaves: replace it now), ``{"say": "replace", "why": ...}`` (it serves until its successor is ready) and
``{"say": "roll", "asked": moment}`` (an operator has asked, in the ledger, for a rolling restart).

Neither end blocks on the other: messages that the peer does not read are buffered here up to ``MAX_BYTES``, and
refused beyond that.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from typing import Any

MAX_BYTES = 4 * 1024 * 1024
"""The most bytes buffered, in either direction. Source: the largest message (a full region of the running table) is
320 KB."""


class Control:
    """Sends and receives without blocking; safe from several threads. ``closed`` once the peer is gone."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)
        self._line = line
        self._unsent = bytearray()
        self._unread = bytearray()
        self._lock = threading.Lock()
        self.closed = False

    def fileno(self) -> int:
        return self._line.fileno()

    def send(self, **message: object) -> bool:
        """Send a message. Returns False if the peer is gone, or reads too slowly to be useful."""
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            if self.closed or len(self._unsent) + len(data) > MAX_BYTES:
                return False
            self._unsent += data
        self.flush()
        return not self.closed

    def flush(self) -> None:
        """Send as much as the socket accepts now."""
        with self._lock:
            while self._unsent and not self.closed:
                try:
                    sent = self._line.send(self._unsent)
                except (BlockingIOError, InterruptedError):
                    return
                except OSError:
                    # Still open for reading: the peer's last messages may be in the buffer.
                    self._unsent.clear()
                    return
                del self._unsent[:sent]

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def receive(self, wait_seconds: float = 0.0) -> list[dict[str, Any]]:
        """Every complete message so far, after waiting for the first at most this long. One reader at a time."""
        self.flush()
        if wait_seconds > 0 and not self.closed:
            waiting = select.poll()  # Not select(): an application may have more than 1,024 descriptors open.
            waiting.register(self._line, select.POLLIN | (select.POLLOUT if self._unsent else 0))
            waiting.poll(wait_seconds * 1000)
            self.flush()
        while not self.closed:
            try:
                data = self._line.recv(65536)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data = b""
            if not data or len(self._unread) > MAX_BYTES:
                self.closed = True
                break
            self._unread += data
        return self._whole_messages()

    def close(self) -> None:
        self.closed = True
        self._line.close()

    def _whole_messages(self) -> list[dict[str, Any]]:
        *lines, rest = self._unread.split(b"\n")
        self._unread = bytearray(rest)
        messages = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # A partial line of a peer that died while writing.
            if isinstance(message, dict):
                messages.append(message)
        return messages
