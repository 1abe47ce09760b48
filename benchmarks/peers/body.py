"""The jobs that every library performs: one that does nothing, one that reports how late it was begun, and one that
reports that a join is over.

They report into files, so that no server has work that the library did not give it: each process counts in a file of
its own that is mapped into memory (some 0.5 µs a job), and latencies are lines at the end of one file.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TEXT = "x" * 100
"""The text argument of every job, besides its number."""
_MARK = struct.Struct("<qdd")
_LATENCIES, _JOINS = "latencies", "joins"
_lock = threading.Lock()
_count: Callable[[], None] | None = None


@dataclass(frozen=True)
class Executed:
    """What all processes have executed, and when, in seconds of the monotonic clock, which they share."""

    jobs: int
    first: float
    last: float


def noop(a: int, b: str) -> None:
    """Count itself."""
    (_count or _open())()


def late(sent: float) -> None:
    """Report how many milliseconds after ``sent`` it was begun."""
    line = f"{(time.time() - sent) * 1000:.4f}\n".encode()
    file = os.open(_folder() / _LATENCIES, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, line)
    os.close(file)


def joined(results: object) -> None:
    """Report when a join was over, and of how many jobs."""
    line = f"{time.time():.6f} {len(list(results))}\n".encode()  # type: ignore[call-overload]
    file = os.open(_folder() / _JOINS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, line)
    os.close(file)


def executed(folder: Path) -> Executed | None:
    """The count so far; None before the first job."""
    found = [path.read_bytes() for path in folder.glob("*.count")]
    # A file that has just been made may be empty yet.
    marks = [_MARK.unpack_from(one) for one in found if any(one[: _MARK.size])]
    if not marks:
        return None
    return Executed(sum(mark[0] for mark in marks), min(mark[1] for mark in marks), max(mark[2] for mark in marks))


def latencies(folder: Path) -> list[float]:
    """The reports so far, in milliseconds."""
    path = folder / _LATENCIES
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def joins(folder: Path) -> list[tuple[float, int]]:
    """The joins that are over: when, and of how many jobs."""
    path = folder / _JOINS
    found = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(float(moment), int(count)) for moment, count in found]


def _open() -> Callable[[], None]:
    """Begin to count in this process."""
    global _count
    with _lock:
        if _count is None:
            path = _folder() / f"{os.getpid()}.count"
            path.write_bytes(b"\0" * mmap.PAGESIZE)
            with path.open("r+b") as file:
                shared = mmap.mmap(file.fileno(), mmap.PAGESIZE)
            number, first, now, write = itertools.count(1).__next__, time.monotonic(), time.monotonic, _MARK.pack_into

            def count() -> None:
                write(shared, 0, number(), first, now())

            _count = count
        return _count


def _folder() -> Path:
    return Path(os.environ["BENCH_FOLDER"])


def _forget() -> None:
    global _count
    _count = None


os.register_at_fork(after_in_child=_forget)
