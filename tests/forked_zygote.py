"""Forks what a worker starts as a fresh interpreter, where the worker itself is a fork of ``tests/fork_server.py``.

The zygote is a fork of its supervisor, and the supervisor of `jobledger worker` the command itself: both have imported
nothing of the application. They have the descriptors, signals, session and streams of a fresh interpreter.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from jobs.observe.log_format import LineHandler
from worker.startup import launch as launching
from worker.supervisor import generation

_real_launch = launching.launch


def fork_zygotes() -> None:
    """From now on, this process starts zygotes and its supervisor by a fork."""
    generation.launch = launch  # type: ignore[attr-defined]
    launching.become = become


class Forked:
    """A child, with as much of ``Popen`` as a supervisor uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float) -> int:
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("zygote", timeout)
            time.sleep(0.005)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def launch(module: str, *, fds: Sequence[int], **payload: object) -> Forked | subprocess.Popen[bytes]:
    """Like ``worker.startup.launch.launch``; a zygote is forked, and all else is started as it really is."""
    if module != "worker.supervisor.zygote":
        return _real_launch(module, fds=fds, **payload)
    parent = os.getpid()
    told = _told(**payload, path=launching.import_path(), parent=parent, fds=fds)
    pid = os.fork()
    if pid:
        return Forked(pid)
    try:
        _begin_anew(keep=fds)
        sys.path[:] = told["path"]
        import_module(module).main(told)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def become(module: str, *, title: Sequence[str], **payload: object) -> NoReturn:
    """Like ``worker.startup.launch.become``, in this interpreter; ``ps`` shows no title."""
    sys.path[:] = launching.import_path()
    import_module(module).main(_told(**payload))
    raise AssertionError(f"{module} returned")


def _told(**payload: object) -> dict[str, Any]:
    """As it comes through a file."""
    told: dict[str, Any] = json.loads(json.dumps(payload))
    return told


def _begin_anew(*, keep: Sequence[int]) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)) and number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The supervisor's objects stay referenced by the frames below this one, so none of them closes a number again.
    last = 2
    for fd in sorted(keep):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    _forget_logging()


def _forget_logging() -> None:
    """Remove the handler whose thread is the supervisor's."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, LineHandler):
            root.removeHandler(handler)
    root.setLevel(logging.WARNING)
