"""Child spawner: starts child processes by fork of the zygote, or as fresh interpreters, and reaps them.

A worker process has threads, so it never forks itself.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from typing import Protocol

from worker.startup.launch import launch

log = logging.getLogger("jobs.worker")

EXIT_SECONDS = 5.0
"""How long to wait for the exit status of a child whose socket was closed."""


class ChildSpawner(Protocol):
    """Starts, kills and reaps child processes. Thread-safe."""

    def spawn(self, name: str, line: socket.socket) -> None:
        """Start a child that gets this end of its socket.

        Raises:
            OSError: it cannot be started.
        """
        ...

    def kill(self, name: str) -> None: ...

    def reap(self, name: str) -> int | None:
        """Wait for a child that exits. Returns its exit status, below zero for a signal; None if it is not known."""
        ...


class ZygoteSpawner:
    """Has the zygote fork children. The zygote kills them all when the worker process dies."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(True)
        self._line = line
        self._lock = threading.Lock()
        self._unread = b""
        self._pids: dict[str, int] = {}
        self._statuses: dict[str, int | None] = {}

    def spawn(self, name: str, line: socket.socket) -> None:
        order = json.dumps({"do": "fork", "name": name}).encode() + b"\n"
        with self._lock:
            socket.send_fds(self._line, [order], [line.fileno()])
            while name not in self._pids and name not in self._statuses:
                if not self._read_reports(EXIT_SECONDS):
                    raise OSError("the zygote does not answer")
        if name not in self._pids:
            raise OSError("the zygote could not fork")

    def kill(self, name: str) -> None:
        pid = self._pids.get(name)
        # The zygote reports exits in order and this child is not reported yet, so no other process has its id.
        with self._lock:
            while self._read_reports(0.0):
                pass
            if pid is not None and name not in self._statuses:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def reap(self, name: str) -> int | None:
        with self._lock:
            while name not in self._statuses:
                if not self._read_reports(EXIT_SECONDS):
                    return None
            self._pids.pop(name, None)
            return self._statuses.pop(name)

    def _read_reports(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return False
        data = self._line.recv(65536)
        if not data:
            return False
        *lines, self._unread = (self._unread + data).split(b"\n")
        for said in map(json.loads, lines):
            if said["say"] == "forked":
                self._pids[said["name"]] = said["pid"]
            else:
                self._statuses[said["name"]] = said.get("status")
        return True


class InterpreterSpawner:
    """Starts an interpreter for each child, which imports the application itself; slower by about a second."""

    def __init__(self, imports: tuple[str, ...]) -> None:
        self._imports = imports
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(self, name: str, line: socket.socket) -> None:
        self._children[name] = launch(
            "worker.children.child", fds=[line.fileno()], line_fd=line.fileno(), imports=list(self._imports)
        )

    def kill(self, name: str) -> None:
        self._children[name].kill()

    def reap(self, name: str) -> int | None:
        child = self._children.pop(name)
        try:
            return child.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait(EXIT_SECONDS)
