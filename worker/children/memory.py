"""How much memory a process has and may have."""

from __future__ import annotations

import os
import resource


def resident_bytes() -> int:
    """What this process has in memory now (where the system does not say: had at most)."""
    try:
        return _statm(1)
    except FileNotFoundError:  # Not Linux.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def limit_growth(count: int) -> None:
    """From now on this process can have at most ``count`` bytes of address space more than it has.

    The system refuses what is over it, so that also one large step is caught: a ``MemoryError`` in Python.
    """
    try:
        now = _statm(0)
    except FileNotFoundError:  # macOS, which does not hold processes to such a limit either.
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = now + count
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


def _statm(place: int) -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[place]) * os.sysconf("SC_PAGE_SIZE")
