"""Control channel between a supervisor and a process: JSON lines over a socket, both ways.

Supervisor to process: ``{"do": "ping"}``, ``{"do": "stop", "seconds": 25.0}``, ``{"do": "stop_now"}``, ``{"do":
"drain"}``, ``{"do": "clean_up", "dead_processes": [...]}``. Process to supervisor: ``{"say": "ready"}``, ``{"say":
"pong", ...}``, ``{"say": "cleaned_up", "name": ...}``, ``{"say": "draining", "why": ...}``
(it leaves, replace it now) ``{"say": "replace", "why": ...}`` (it serves until its successor is ready) and
``{"say": "roll", "asked": moment}`` (an operator asks, in the ledger, for a rolling restart).

Neither end ever blocks on the other: what the peer does not read is kept here up to ``MAX_BYTES``, and then
refused.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from typing import Any

MAX_BYTES = 4 * 1024 * 1024
"""Unsent, or unfinished, at most. Source: the largest message (one full table of marks) is 320 KB."""


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
        """Whether the message was taken; False if the peer is gone, or reads so slowly that it is as good as
        gone.
        """
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            if self.closed or len(self._unsent) + len(data) > MAX_BYTES:
                return False
            self._unsent += data
        self.flush()
        return not self.closed

    def flush(self) -> None:
        """Give the peer what it will take now."""
        with self._lock:
            while self._unsent and not self.closed:
                try:
                    sent = self._line.send(self._unsent)
                except (BlockingIOError, InterruptedError):
                    return
                except OSError:
                    # Not closed yet for reading: the peer's last words may still be here.
                    self._unsent.clear()
                    return
                del self._unsent[:sent]

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def receive(self, wait_seconds: float = 0.0) -> list[dict[str, Any]]:
        """Every whole message that has come, after waiting for the first at most this long. One reader at a
        time.
        """
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
                continue  # Half a line of a peer that died while writing.
            if isinstance(message, dict):
                messages.append(message)
        return messages
