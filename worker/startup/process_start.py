"""Process start: what a worker process does first, forked or spawned, and how it dies with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

from jobs.observe.line_writer import flush_all
from worker.protocol.assignment import Assignment, Order
from worker.startup.imports import import_application

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_QUIET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc: Any = None
if sys.platform == "linux":
    _libc = ctypes.CDLL(None)  # Loaded before any fork: a child only calls it.


def die_with_parent(parent: int) -> None:
    """On Linux, the kernel kills this process when its parent dies. Elsewhere it must watch its socket for
    the end.

    Args:
        parent: the parent's process id, known beforehand: it may have died already.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def name_process(name: str) -> None:
    """What ``ps`` and ``top`` show, on Linux: the first 15 characters."""
    if _libc is not None:
        _libc.prctl(_PR_SET_NAME, name.encode()[:15])


def leave_signals_to_the_supervisor() -> None:
    """Let Ctrl-C and a service manager's signal to the whole group pass: the supervisor tells us what to do.

    Handlers that do nothing, not SIG_IGN: ignored signals stay ignored in programs that a job starts, which
    could then not be terminated.
    """
    for one in _QUIET:
        signal.signal(one, _let_pass)


def let_forked_be_terminated() -> None:
    """What a job forks (``multiprocessing``) would inherit the handlers; it ends by SIGTERM all the same.

    Also by one that is sent as soon as ``fork`` returns: it waits until the handler is gone.
    """
    terminate = {signal.SIGTERM}

    def in_child() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, terminate)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, terminate),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, terminate),
        after_in_child=in_child,
    )


def serve_and_exit(
    order: Order, *, running_fd: int, control: socket.socket, spawner: socket.socket | None = None
) -> NoReturn:
    """Call the target and leave with its code, without the parent's exit handlers; a bug leaves with 1."""
    code = 1
    try:
        name_process(f"jobs worker {order.region}")
        let_forked_be_terminated()
        code = _target(order.target)(order.assign(running_fd=running_fd, control=control, spawner=spawner)) or 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        flush_all()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def main(payload: dict[str, Any]) -> NoReturn:
    """A spawned process: a fresh interpreter that imports the application for itself."""
    die_with_parent(payload["parent"])
    leave_signals_to_the_supervisor()
    order = Order.from_json(payload["order"])
    try:
        import_application([order.target.partition(":")[0], *order.imports])
    except Exception as error:
        sys.stderr.write(f"error: {error}\n")
        os._exit(2)
    serve_and_exit(order, running_fd=payload["running_fd"], control=socket.socket(fileno=payload["control_fd"]))


def _target(path: str) -> Callable[[Assignment], int | None]:
    module, _, function = path.partition(":")
    found: Callable[[Assignment], int | None] = getattr(import_module(module), function)
    return found


def _let_pass(number: int, frame: object) -> None:
    pass
