"""Generation: one version of the code, with its zygote and the processes forked from it.

importing ── imported, nothing left behind ──> forking ──┐
    │  └──── imported, left something behind > spawning  ├── close, or its zygote dies ──> gone
    └─────── the import failed ─────────────> failed ────┘
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from worker.protocol.assignment import Order
from worker.protocol.control import Control
from worker.startup.launch import launch, unnamed_payload_file


class GenerationStage(Enum):
    IMPORTING = "importing"
    FORKING = "forking"
    SPAWNING = "spawning"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Forked:
    """A process has its id."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class Exited:
    """A process is dead and reaped; ``status`` as in Python: below zero for a signal, None if it never started."""

    name: str
    status: int | None
    why: str = ""


class Generation:
    """Starts processes and reports their starts and exits; ``news`` never blocks."""

    def __init__(
        self, number: int, *, imports: tuple[str, ...], target: str, running_fd: int, settings: str = "{}"
    ) -> None:
        self.number = number
        self.imports = imports
        self.target = target
        self.stage = GenerationStage.IMPORTING
        self.left: list[str] = []
        """What the application's import left behind, as text: the reason why processes are spawned, not forked."""
        self.failure = ""
        """Why the import failed, in one line; ``traceback`` has the details."""
        self.traceback = ""
        self._running_fd = running_fd
        self._spawned: dict[str, subprocess.Popen[bytes]] = {}
        ours, theirs = socket.socketpair()
        with theirs:
            self._zygote = launch(
                "worker.supervisor.zygote",
                fds=[theirs.fileno(), running_fd],
                line_fd=theirs.fileno(),
                running_fd=running_fd,
                imports=imports,
                target=target,
                settings=settings,
            )
        self._line = ours
        self.control = Control(ours)

    @property
    def pid(self) -> int:
        """The zygote's process id."""
        return self._zygote.pid

    @property
    def can_start(self) -> bool:
        return self.stage in (GenerationStage.FORKING, GenerationStage.SPAWNING)

    def start(self, order: Order, control: socket.socket) -> bool:
        """Start a process with this order and this end of its socket; False if the zygote does not read."""
        payload_file = unnamed_payload_file(order.to_json())
        try:
            if self.stage is GenerationStage.SPAWNING:
                self._spawned[order.name] = self._spawn(order, control)
                return True
            command = json.dumps({"do": "fork", "name": order.name}).encode() + b"\n"
            return socket.send_fds(self._line, [command], [control.fileno(), payload_file]) == len(command)
        except OSError:
            return False
        finally:
            os.close(payload_file)

    def news(self) -> Iterator[Forked | Exited]:
        """The events since the last call; also updates ``stage``. Reports the exit of each process at most once."""
        for said in self.control.receive():
            match said:
                case {"say": "imported", "left": list(left)}:
                    self.left = left
                    self.stage = GenerationStage.SPAWNING if left else GenerationStage.FORKING
                case {"say": "failed", "line": str(line), "traceback": str(details)}:
                    self.failure, self.traceback, self.stage = line, details, GenerationStage.FAILED
                case {"say": "forked", "name": str(name), "pid": int(pid)}:
                    yield Forked(name, pid)
                case {"say": "not_forked", "name": str(name), "why": str(why)}:
                    yield Exited(name, None, why)
                case {"say": "exited", "name": str(name), "status": int(status)}:
                    yield Exited(name, status)
        for name, process in list(self._spawned.items()):
            if process.poll() is not None:
                del self._spawned[name]
                yield Exited(name, process.returncode)
        if self.stage is GenerationStage.SPAWNING and not self.control.closed:
            self._dismiss_zygote()
        elif self.control.closed and self.stage in (GenerationStage.IMPORTING, GenerationStage.FORKING):
            self._zygote_died()

    def spawned_pid(self, name: str) -> int | None:
        process = self._spawned.get(name)
        return process.pid if process else None

    def kill(self) -> None:
        """Kill the zygote and all processes forked from it; ``news`` reports their exits."""
        if self._zygote.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._zygote.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the zygote, and with it the processes forked from it."""
        self._dismiss_zygote()
        self.stage = GenerationStage.GONE

    def _spawn(self, order: Order, control: socket.socket) -> subprocess.Popen[bytes]:
        fds = {"control_fd": control.fileno(), "running_fd": self._running_fd}
        return launch("worker.startup.process_start", fds=list(fds.values()), order=order.to_json(), **fds)

    def _zygote_died(self) -> None:
        code = _wait(self._zygote)
        if self.stage is GenerationStage.IMPORTING:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            modules = ", ".join(map(repr, self.imports)) or repr(self.target)
            self.failure = f"Cannot import {modules}: the process that imported it ended with {how}."
            self.stage = GenerationStage.FAILED
        else:
            self.stage = GenerationStage.GONE

    def _dismiss_zygote(self) -> None:
        self.control.close()
        self.kill()
        _wait(self._zygote)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process that is dead or about to be."""
    try:
        return process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(timeout=2)
