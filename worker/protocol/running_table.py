"""Running table: the runs that each process performs, in shared memory that outlives a dead process.

The supervisor makes a file without a name (so nothing is left after ``kill -9``), and every process inherits its
descriptor. Each process has a region of its own, of ``ENTRIES`` entries:

    bytes 0-15  the attempt's token: a run that was lost and claimed again has two attempts in one process
    byte  16    0 free, 1 performing, 2 ended: perform is over, its settlement has not committed
    bytes 24-31 when its hard limit is, by the monotonic clock that all processes of a machine share

The token is written before the state, and an entry is freed before it is used again. So at whatever instant a
process dies, the table never shows an attempt as performing that was not.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections import deque
from uuid import UUID

ENTRIES = 4096
"""Attempts that one process can record at once. Source: decision, eight times the default number of coroutines."""

_ENTRY = 32
_STATE = 16
_REGION = ENTRIES * _ENTRY  # 128 KiB: a multiple of every page size, as mmap's offset must be.
_UNTIL = 24
_MOMENT = struct.Struct("<d")
NEVER = float("inf")
_FREE, _PERFORMING, _ENDED = 0, 1, 2


class RunningRows:
    """One process's region, written around ``perform``. Thread-safe; below 1 µs a call."""

    def __init__(self, fd: int, region: int) -> None:
        self._map = mmap.mmap(fd, _REGION, offset=region * _REGION)
        # A deque's pop and append are atomic: no lock that an interrupt could leave held.
        self._unused = deque(range(ENTRIES))

    def start(self, token: UUID, until: float = NEVER) -> int:
        """Record the attempt as performing, at most until this moment. Returns the entry's number, or -1 if the
        region is full (then it is not recorded).
        """
        try:
            entry = self._unused.pop()
        except IndexError:
            return -1
        at = entry * _ENTRY
        self._map[at : at + _STATE] = token.bytes
        _MOMENT.pack_into(self._map, at + _UNTIL, until)
        self._map[at + _STATE] = _PERFORMING
        return entry

    def limit(self, entry: int, token: UUID, until: float) -> None:
        """Move the attempt's hard limit, if the entry still belongs to it."""
        at = entry * _ENTRY
        if entry >= 0 and self._map[at : at + _STATE] == token.bytes:
            _MOMENT.pack_into(self._map, at + _UNTIL, until)

    def ended(self, entry: int) -> None:
        """Record that ``perform`` has ended; its settlement has not committed yet."""
        if entry >= 0:
            self._map[entry * _ENTRY + _STATE] = _ENDED

    def clear(self, entry: int) -> None:
        """Free the entry of a settled attempt. Call it once for each ``start``."""
        if entry >= 0:
            self._map[entry * _ENTRY + _STATE] = _FREE
            self._unused.append(entry)

    def close(self) -> None:
        self._map.close()


class RunningTable:
    """The supervisor's side: the regions of all its processes. ``fd`` is what the processes inherit."""

    def __init__(self, slots: int) -> None:
        self.regions = slots
        self.fd = unnamed_file("jobs-marks")
        os.ftruncate(self.fd, slots * _REGION)
        self._map = mmap.mmap(self.fd, slots * _REGION)

    def read(self, region: int) -> tuple[list[UUID], list[UUID]]:
        """The tokens of the attempts that a process was performing, and of those that had ended but not settled.
        Call it when the process is dead.
        """
        base = region * _REGION
        states = self._map[base + _STATE : base + _REGION : _ENTRY]
        performing: list[UUID] = []
        ended: list[UUID] = []
        for entry, state in enumerate(states):
            if state != _FREE:
                at = base + entry * _ENTRY
                found = UUID(bytes=self._map[at : at + _STATE])
                (performing if state == _PERFORMING else ended).append(found)
        return performing, ended

    def over(self, region: int, now: float) -> list[UUID]:
        """The attempts that a process performs after their hard limit, which was before ``now``. Its watchdog has
        not ended them, so the watchdog cannot run.
        """
        base = region * _REGION
        found = []
        for entry, state in enumerate(self._map[base + _STATE : base + _REGION : _ENTRY]):
            if state == _PERFORMING:
                at = base + entry * _ENTRY
                if _MOMENT.unpack_from(self._map, at + _UNTIL)[0] < now:
                    found.append(UUID(bytes=self._map[at : at + _STATE]))
        return found

    def nearest(self, region: int) -> float:
        """The nearest hard limit of the attempts that a process performs; ``NEVER`` if there is none."""
        base = region * _REGION
        states = self._map[base + _STATE : base + _REGION : _ENTRY]
        limits = (
            _MOMENT.unpack_from(self._map, base + entry * _ENTRY + _UNTIL)[0]
            for entry, state in enumerate(states)
            if state == _PERFORMING
        )
        return min(limits, default=NEVER)

    def reset(self, region: int) -> None:
        """Clear the region before another process gets it."""
        base = region * _REGION
        for entry, state in enumerate(self._map[base + _STATE : base + _REGION : _ENTRY]):
            if state != _FREE:  # Do not write pages that are still zero: they use no memory.
                self._map[base + entry * _ENTRY + _STATE] = _FREE

    def close(self) -> None:
        self._map.close()
        os.close(self.fd)


def unnamed_file(purpose: str) -> int:
    """The descriptor of an empty file without a name, which the system removes with its last descriptor."""
    if hasattr(os, "memfd_create"):  # In memory, so that a full disk cannot make a write fatal.
        return os.memfd_create(purpose, os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
