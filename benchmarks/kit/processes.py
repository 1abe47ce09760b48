"""Processor time and memory of a tree of processes, as Linux counts them."""

from __future__ import annotations

from pathlib import Path


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in _read(task).split()]
    return found


def cpu_seconds(pids: list[int]) -> float:
    """The total processor time of their live threads."""
    return sum(seconds for pid in pids for seconds in threads(pid).values())


def threads(pid: int) -> dict[int, float]:
    """Processor time of each thread of a process, to the nanosecond."""
    return {
        int(task.name): int(_read(task / "schedstat").split()[0] or 0) / 1e9
        for task in Path(f"/proc/{pid}/task").glob("*")
        if _read(task / "schedstat")
    }


def pss_megabytes(pids: list[int]) -> float:
    """Their proportional set size, which counts shared memory once."""
    return sum(_kilobytes(pid) for pid in pids) / 1024


def _kilobytes(pid: int) -> int:
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
