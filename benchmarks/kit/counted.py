"""Imported by a worker with its jobs, to count its statements; another process reads the counts."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Any

FILE = "BENCH_COUNTS"
_COUNTS = struct.Struct("<qq")


def read(path: Path) -> tuple[int, int]:
    """Statements and commits so far."""
    statements, commits = _COUNTS.unpack(path.read_bytes()[: _COUNTS.size])
    return statements, commits


def make(path: Path) -> None:
    """Make the file, with both counts at 0."""
    path.write_bytes(b"\0" * mmap.PAGESIZE)


def _count(path: str) -> None:
    from sqlalchemy import Engine, event

    from jobs.database.direct_statements import DirectConnection

    with open(path, "r+b") as file:
        shared = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def note(statements: int, commits: int) -> None:
        before = _COUNTS.unpack_from(shared)
        _COUNTS.pack_into(shared, 0, before[0] + statements, before[1] + commits)

    def statement(*seen: Any) -> None:
        note(1, 0)

    def commit(*seen: Any) -> None:
        note(0, 1)

    run = DirectConnection.run

    def direct(self: DirectConnection, *given: Any) -> Any:
        note(1, 1)  # It commits by itself.
        return run(self, *given)

    DirectConnection.run = direct  # type: ignore[method-assign]
    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", commit)


if FILE in os.environ:
    _count(os.environ[FILE])
