"""Reads and limits the memory of this process."""

from __future__ import annotations

import os
import resource


def resident_bytes() -> int:
    """The resident memory of this process now, or its maximum so far where the system does not report the current
    value."""
    try:
        return _statm(1)
    except FileNotFoundError:  # Not Linux.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def limit_growth(count: int) -> None:
    """Limit this process to ``count`` bytes of address space more than it has now.

    The system refuses any allocation above the limit, even one large one: Python raises ``MemoryError``.
    """
    try:
        now = _statm(0)
    except FileNotFoundError:  # macOS, which does not enforce such a limit either.
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = now + count
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


def _statm(place: int) -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[place]) * os.sysconf("SC_PAGE_SIZE")
