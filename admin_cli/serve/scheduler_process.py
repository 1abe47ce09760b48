"""Runs the scheduler of `jobs dev` in a process of its own, which ends with the worker's process."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from admin_cli.terminal import streams

POLL_SECONDS = 0.5
"""How often it checks the code for changes. Source: decision; the same as the worker's."""
STOP_SECONDS = 5.0
"""How long the scheduler may take to end before it is killed. A kill loses nothing."""


@contextmanager
def run_scheduler(serve: Callable[[], int], *, watch: Sequence[str] = ()) -> Iterator[None]:
    """While the block runs, another process calls ``serve``, and restarts it when code below ``watch`` changes.

    The closed end of a pipe tells it that this process has ended, even after a kill.
    """
    streams.flush_both()
    theirs, ours = os.pipe()
    watcher = os.fork()
    if watcher == 0:
        code = 1
        try:
            os.close(ours)
            _watch_scheduler(serve, theirs, watch)
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    try:
        yield
    finally:
        os.close(ours)
        os.waitpid(watcher, 0)


def _watch_scheduler(serve: Callable[[], int], line: int, watch: Sequence[str]) -> None:
    """Start the scheduler, restart it when the code changes, and stop it when the pipe ``line`` closes."""
    from worker.supervisor.file_watch import Watch

    # Ctrl+C reaches the scheduler itself; this process ends after the worker's.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = Watch(watch)
    scheduler = _start(serve, line)
    while not select.select([line], [], [], POLL_SECONDS if watch else None)[0]:
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
    os.kill(child, signal.SIGTERM)  # The process id cannot be reused before waitpid.
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if clock.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        clock.sleep(0.02)
