"""The processes of a fleet, as the operating system has them, and waiting for a fact about them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def until(fact: Callable[[], Any], *, seconds: float, every: float = 0.02) -> Any:
    """The value of ``fact`` once it is true, or its value at the time limit."""
    deadline = time.monotonic() + seconds
    while not (met := fact()) and time.monotonic() < deadline:
        time.sleep(every)
    return met


@dataclass(frozen=True)
class Node:
    """A supervisor: the process that was started for it, or that stands for its fork, and the file with its own id."""

    process: subprocess.Popen[bytes]
    pid_file: Path

    @property
    def pid(self) -> int:
        """Its id; 0 before it runs."""
        return int(self.pid_file.read_text()) if self.pid_file.exists() else 0


def workers_of(node: Node) -> list[int]:
    """The pids of a node's worker processes: the children of its supervisor's zygotes.

    Without children that perform one run alone after a crash: killing such a child three times makes the run poison.
    """
    return [pid for zygote in children(node.pid) for pid in children(zygote) if name_of(pid).startswith("jobs worker")]


def name_of(pid: int) -> str:
    """A process's name; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """The pids of a process's children."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    """The pids of a process's children and grandchildren."""
    return [one for child in children(pid) for one in (child, *descendants(child))]


def send(pid: int, sig: signal.Signals) -> None:
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass
