"""Writes log lines on a thread of its own, so that logging never waits for the reader.

Up to ``MAX_BYTES`` may wait to be written. Further lines are dropped and counted, and the count is logged as soon as
there is room.
"""

from __future__ import annotations

import os
import queue
import select
import stat
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress

MAX_BYTES = 4 * 2**20
"""Most bytes that may wait. Source: decision; some 10,000 lines, a second or two of a busy process."""
ATOMIC_BYTES = 4096
"""Bytes that one write to a pipe keeps together, whatever else writes to it. Source: POSIX, PIPE_BUF on Linux."""
BATCH_BYTES = 256 * 1024
"""Bytes of one write to a file. Each write may wait milliseconds for the interpreter while other threads compute."""
FORKED_SECONDS = 0.05
"""How long a child that a job forked waits for room: it may end before a thread of its own could write."""


class LineWriter:
    """Writes to one descriptor. The thread starts with the first line.

    Args:
        tell: makes the line that reports the number of dropped lines.
        threaded: False: each line is written at once, which may wait. For a process that will fork.
    """

    def __init__(self, fd: int, tell: Callable[[int], str], *, threaded: bool = True) -> None:
        self._fd = fd
        self._tell = tell
        self._is_threaded = threaded
        self._is_forked = False
        self._is_file = _is_file(fd)
        self._lines: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Each has one writer: the input count changes under the handler's lock, the output count on the thread.
        self._came = self._went = 0
        self._dropped = self._reported = 0
        _writers.add(self)

    @property
    def dropped(self) -> int:
        """Lines that were dropped since the start."""
        return self._dropped

    def put(self, text: str) -> None:
        """Write whole lines, soon. One caller at a time."""
        data = text.encode(errors="backslashreplace")
        if self._is_forked or not self._is_threaded:
            self._write_here(data)
            return
        if self._came - self._went + len(data) > MAX_BYTES:
            self._dropped += data.count(b"\n")
            return
        self._came += len(data)
        self._lines.put(data)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="jobs-log", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # The interpreter is ending, or no more threads can start.
                self._is_threaded = False
                self._thread = None
                self._write(self._taken(self._lines.get())[0])

    def flush(self, seconds: float) -> bool:
        """Wait until all lines are written, at most this long. Returns whether they are."""
        if self._thread is None or self._is_forked:
            return True
        done = threading.Event()
        self._lines.put(done)
        return done.wait(seconds)

    def _run(self) -> None:
        while True:
            data, waiting = self._taken(self._lines.get())
            with suppress(OSError):  # Closed, or its reader is gone: the lines are lost.
                self._write(data)
                if self._dropped > self._reported:
                    unreported, self._reported = self._dropped - self._reported, self._dropped
                    self._write(self._tell(unreported).encode(errors="backslashreplace"))
            self._went += len(data)
            for one in waiting:
                one.set()

    def _taken(self, one: bytes | threading.Event) -> tuple[bytes, list[threading.Event]]:
        """The waiting lines, up to a batch, and the callers that wait for them to be written."""
        taken: list[bytes] = []
        waiting: list[threading.Event] = []
        size = 0
        while True:
            if isinstance(one, bytes):
                taken.append(one)
                size += len(one)
            else:
                waiting.append(one)
            if size >= BATCH_BYTES:
                break
            try:
                one = self._lines.get_nowait()
            except queue.Empty:
                break
        return b"".join(taken), waiting

    def _write(self, data: bytes) -> None:
        for piece in [data] if self._is_file else pieces(data):
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def _write_here(self, data: bytes) -> None:
        with suppress(OSError):
            if not self._is_forked:
                self._write(data)
                return
            for piece in pieces(data):
                room = select.poll()
                room.register(self._fd, select.POLLOUT)
                if not self._is_file and not room.poll(FORKED_SECONDS * 1000):
                    self._dropped += piece.count(b"\n")
                    continue
                os.write(self._fd, piece)


def pieces(data: bytes) -> list[bytes]:
    """``data`` in pieces of whole lines, each as large as one write keeps together; a longer line is a piece."""
    found: list[bytes] = []
    at = 0
    while len(data) - at > ATOMIC_BYTES:
        end = data.rfind(b"\n", at, at + ATOMIC_BYTES) + 1 or data.find(b"\n", at) + 1 or len(data)
        found.append(data[at:end])
        at = end
    if at < len(data):
        found.append(data[at:])
    return found


def flush_all(seconds: float = 1.0) -> None:
    """Write all waiting lines of this process, at most this long: before a process leaves by ``_exit``."""
    for writer in list(_writers):
        writer.flush(seconds)


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


_writers: weakref.WeakSet[LineWriter] = weakref.WeakSet()


def _forked() -> None:
    """A forked child does not have its parent's thread, and the waiting lines are the parent's to write."""
    for writer in _writers:
        writer._is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
