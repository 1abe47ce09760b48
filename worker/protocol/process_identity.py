"""The identity of a process, which no later process with the same number has.

Workers report theirs when they start, so that a signal for a worker cannot reach another process.
"""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")
_START_TIME = 19
"""The place of the start time among the fields after the name. Source: proc_pid_stat(5), field 22."""

_ENDED = ("Z", "X")
"""States of a process that has ended and is still listed, until its parent has asked how it ended."""


def identity_of(pid: int | str = "self") -> str | None:
    """The boot of this machine and the ticks at which the process started; None without ``/proc`` or if it has
    ended."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        # The name may contain spaces and brackets, so the fields are counted from its end.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] in _ENDED else f"{boot}/{fields[_START_TIME]}"
    except (OSError, IndexError):
        return None
