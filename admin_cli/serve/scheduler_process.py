"""Runs a scheduler in a process of its own beside the worker of `jobs dev`; it never outlives it."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from admin_cli.terminal import streams

LOOK_SECONDS = 0.5
"""How often the code is looked at for changes. Source: decision, that of the worker."""
STOP_SECONDS = 5.0
"""What the scheduler may take to end; then it is killed. It loses nothing by that."""


@contextmanager
def run_scheduler(serve: Callable[[], int], *, watch: Sequence[str] = ()) -> Iterator[None]:
    """While the block runs, another process calls ``serve``; anew when code below ``watch`` has changed.

    It sees the end of this process, whatever the end, by the end of a pipe.
    """
    streams.flush_both()
    theirs, ours = os.pipe()
    minder = os.fork()
    if minder == 0:
        code = 1
        try:
            os.close(ours)
            _mind(serve, theirs, watch)
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    try:
        yield
    finally:
        os.close(ours)
        os.waitpid(minder, 0)


def _mind(serve: Callable[[], int], line: int, watch: Sequence[str]) -> None:
    """Start it, start it anew with new code, and stop it at the end of ``line``."""
    from worker.supervisor.file_watch import Watch

    # Ctrl+C reaches the scheduler itself; this one ends when the worker has.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = Watch(watch)
    scheduler = _start(serve, line)
    while not select.select([line], [], [], LOOK_SECONDS if watch else None)[0]:
        if code.has_changed():
            _stop(scheduler)
            scheduler = _start(serve, line)
    _stop(scheduler)


def _start(serve: Callable[[], int], line: int) -> int:
    from jobs.observe.line_writer import flush_all

    child = os.fork()
    if child == 0:
        os.close(line)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            code = serve()
        except BaseException:
            code = 1
        finally:
            flush_all()
            streams.flush_both()
        os._exit(code)
    return child


def _stop(child: int) -> None:
    from jobs.clock import SystemClock

    clock = SystemClock()
    until = clock.monotonic() + STOP_SECONDS
    os.kill(child, signal.SIGTERM)  # Its id is its own until it is waited for.
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if clock.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        clock.sleep(0.02)
