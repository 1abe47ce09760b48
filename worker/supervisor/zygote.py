"""Zygote: the single-threaded process that worker processes are forked from, with the application imported once.

Each generation of code has one. It reads ``{"do": "fork", "name": ...}`` with two descriptors (the process's socket
to the supervisor, and its order). It sends ``imported`` or ``failed``, then ``forked``, ``not_forked`` and
``exited``. It dies with the supervisor, and its children die with it.

Each worker process has a socket to the zygote too, for its child spawner: ``{"do": "fork", "name": ...}`` with one
descriptor forks a child for it. The zygote kills that child when the worker process dies.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections import deque
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from worker.protocol.assignment import TARGET, Order
from worker.startup.imports import import_application
from worker.startup.preload import preload
from worker.startup.process_start import (
    die_with_parent,
    leave_signals_to_the_supervisor,
    name_process,
    serve_and_exit,
)

_MAX_FDS = 64


class _SpawnLine:
    """A worker process's socket for its child processes."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.children: dict[int, str] = {}
        self.unread = b""
        self.fds: deque[int] = deque()

    def send(self, **message: object) -> None:
        with suppress(OSError):  # The worker process is dying; its children will be killed.
            self.line.sendall(json.dumps(message).encode() + b"\n")


class Zygote:
    """The process that forks worker processes, and their children, from one imported application."""

    def __init__(self, line: socket.socket, running_fd: int) -> None:
        self._line = line
        self._running_fd = running_fd
        self._children: dict[int, str] = {}
        self._spawn_lines: dict[int, _SpawnLine] = {}
        self._unread = b""
        self._fds: deque[int] = deque()
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)

    def serve(self) -> NoReturn:
        """Fork on request and report exits, until the supervisor is gone."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        while True:
            lines = {one.line: one for one in self._spawn_lines.values() if one.line.fileno() >= 0}
            ready, _, _ = select.select([self._line, self._wake, *lines], [], [])
            if self._wake in ready:
                self._wake.recv(4096)
            if self._line in ready:
                self._execute()
            for line, spawner in lines.items():
                if line in ready:
                    self._execute_in_worker(spawner)
            self._reap()

    def send(self, **message: object) -> None:
        try:
            self._line.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            os._exit(0)

    def _execute(self) -> None:
        data, fds, _, _ = socket.recv_fds(self._line, 65536, _MAX_FDS)
        # Descriptors arrive in the order of their commands, however the kernel splits the stream.
        self._fds.extend(fds)
        for fd in fds:
            os.set_inheritable(fd, False)  # A program that a job starts must not inherit the socket.
        if not data:
            os._exit(0)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._fork(json.loads(line)["name"], self._fds.popleft(), self._fds.popleft())

    def _fork(self, name: str, control_fd: int, order_fd: int) -> None:
        parent = os.getpid()
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError as error:
            ours.close()
            self.send(say="not_forked", name=name, why=str(error))
        else:
            if pid == 0:
                ours.close()
                self._become_worker(parent, control_fd, order_fd, theirs)
            self._children[pid] = name
            self._spawn_lines[pid] = _SpawnLine(ours)
            self.send(say="forked", name=name, pid=pid)
        theirs.close()
        os.close(control_fd)
        os.close(order_fd)

    def _execute_in_worker(self, spawner: _SpawnLine) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(spawner.line, 65536, _MAX_FDS)
        except OSError:
            data, fds = b"", []
        spawner.fds.extend(fds)
        if not data:
            spawner.line.close()
            return
        *lines, spawner.unread = (spawner.unread + data).split(b"\n")
        for line in lines:
            self._fork_child(spawner, json.loads(line)["name"], spawner.fds.popleft())

    def _fork_child(self, spawner: _SpawnLine, name: str, line_fd: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            spawner.send(say="not_forked", name=name, why=str(error))
        else:
            if pid == 0:
                self._become_child(parent, line_fd)
            spawner.children[pid] = name
            spawner.send(say="forked", name=name, pid=pid)
        os.close(line_fd)

    def _become_child(self, parent: int, line_fd: int) -> NoReturn:
        try:
            self._forget_being_zygote(parent)
            os.set_inheritable(line_fd, False)
            name_process("jobs child")
            import_module("worker.children.child").serve(socket.socket(fileno=line_fd))
        except BaseException:
            traceback.print_exc()
        os._exit(1)

    def _forget_being_zygote(self, parent: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent(parent)
        for end in (self._line, self._wake, self._waker, *(one.line for one in self._spawn_lines.values())):
            end.close()
        for fd in self._fds:
            os.close(fd)

    def _become_worker(self, parent: int, control_fd: int, order_fd: int, spawner: socket.socket) -> NoReturn:
        try:
            self._forget_being_zygote(parent)
            with open(order_fd, "rb") as file:
                order = Order.from_json(file.read().decode())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        serve_and_exit(order, running_fd=self._running_fd, control=socket.socket(fileno=control_fd), spawner=spawner)

    def _reap(self) -> None:
        # Our children only: the application must wait for programs that its import started.
        for pid, name in list(self._children.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._children[pid]
                self._reassign_children(self._spawn_lines[pid])
                self.send(say="exited", name=name, pid=pid, status=os.waitstatus_to_exitcode(status))
        for worker, spawner in list(self._spawn_lines.items()):
            for pid, name in list(spawner.children.items()):
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    del spawner.children[pid]
                    spawner.send(say="exited", name=name, status=os.waitstatus_to_exitcode(status))
            if worker not in self._children and not spawner.children:
                spawner.line.close()
                del self._spawn_lines[worker]

    def _reassign_children(self, spawner: _SpawnLine) -> None:
        """The worker process is dead: kill its children."""
        for pid in spawner.children:
            os.kill(pid, signal.SIGKILL)


def refuse_if_unfit() -> None:
    """Check the application once here, so that an error that every process would meet ends the worker."""
    if "jobs.messages.actor_job" in sys.modules:
        import_module("worker.dramatiq.middleware_hooks").refuse_forks()


def main(payload: dict[str, Any]) -> NoReturn:
    """Import the application, report the result, and serve."""
    die_with_parent(payload["parent"])
    leave_signals_to_the_supervisor()
    name_process("jobs zygote")
    zygote = Zygote(socket.socket(fileno=payload["line_fd"]), payload["running_fd"])
    try:
        target = payload["target"].partition(":")[0]
        left = import_application([target, *payload["imports"]])
        preload(payload["settings"])
        refuse_if_unfit()
    except Exception as error:
        zygote.send(say="failed", line=str(error), traceback="".join(traceback.format_exception(error)))
        os._exit(2)
    if payload["target"] == TARGET and not left:
        import_module("worker.startup.statement_warmup").warm_up(payload["settings"])
    # All processes share the objects that exist now, as long as the garbage collector does not write to them.
    gc.collect()
    gc.freeze()
    zygote.send(say="imported", left=left)
    zygote.serve()
