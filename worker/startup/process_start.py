"""Process start: the first steps of a worker process, forked or spawned, and its death with its parent."""

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
    _libc = ctypes.CDLL(None)  # Loaded before any fork, so that a child only calls it.


def die_with_parent(parent: int) -> None:
    """On Linux, have the kernel kill this process when its parent dies. Elsewhere the process must watch its socket.

    Args:
        parent: the parent's process id, read before the fork, since the parent may already be dead.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def name_process(name: str) -> None:
    """Set the name that ``ps`` and ``top`` show, on Linux; the first 15 characters count."""
    if _libc is not None:
        _libc.prctl(_PR_SET_NAME, name.encode()[:15])


def leave_signals_to_the_supervisor() -> None:
    """Ignore Ctrl-C and a service manager's signal to the whole process group: the supervisor decides when to stop.

    Uses empty handlers, not SIG_IGN: a program that a job starts would inherit SIG_IGN, and could not be terminated.
    """
    for one in _QUIET:
        signal.signal(one, _let_pass)


def let_forked_be_terminated() -> None:
    """Make processes that a job forks (``multiprocessing``) end by SIGTERM, although they inherit the handlers.

    That includes a signal sent as soon as ``fork`` returns: it stays blocked until the handler is removed.
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
    """Call the target and exit with its code, without the parent's exit handlers; an unhandled error exits with 1."""
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
    """Entry point of a spawned process: a fresh interpreter that imports the application itself."""
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
