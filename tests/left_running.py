"""Names the test that leaves a process or a thread running.

What a test starts ends with the test, or with a fixture of its module: else it takes processor time from later tests,
holds their files open, or answers in their place. Servers of the session stay: those of ``tests/server_process.py`` and
``tests/fork_server.py``. Daemon threads may stay too.

The pools of ``jobs.runtime.own_threads`` live as long as their process. They are shut down after each module, so that
a thread of theirs is left running only if it still works.
"""

from __future__ import annotations

import threading
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from jobs.runtime import own_threads
from tests import fork_server, server_process
from tests.waiting import wait_until

KEPT = ("pytest_timeout", "jobs-hashing", "ThreadPoolExecutor", "asyncio_", "AnyIO worker")
"""What the names of threads begin with that may stay: one that ends a test which takes too long, the pool that checks
passwords, of which a process has one for good, and the pools of libraries."""
WITHIN_SECONDS = 60.0
"""What was told to end may take a moment, and longer on a busy machine."""


class LeftRunning:
    """What runs beside this process and its main thread, and after which test it was first seen."""

    def __init__(self) -> None:
        self._known: set[object] = set(threading.enumerate())
        self._seen: dict[object, str] = {}

    def look(self, test: str) -> None:
        """Remember that what runs now, and did not before, was started by ``test``."""
        for one in self._running(children(threading.main_thread().native_id)):
            self._seen.setdefault(one, test)

    def refuse(self, test: str) -> None:
        """Fail ``test``, the last one of its module, if something still runs."""
        if left := self.check(test, seconds=WITHIN_SECONDS):
            pytest.fail("left running: " + "; ".join(left), pytrace=False)

    def check(self, test: str, *, seconds: float) -> list[str]:
        """Wait until nothing runs; what still does then, with the test that was first seen to leave it.

        Args:
            test: the one that is over, for what no other is known to have started.
        """
        shut_pools_down()
        wait_until(lambda: not self._everything(), seconds=seconds)
        left = self._everything()
        found = [f"{_name(one)}, first seen after {self._seen.get(one, test)}" for one in left]
        # Each is told of once.
        self._known.update(left)
        self._seen.clear()
        return found

    def _everything(self) -> list[object]:
        pids = [pid for task in Path("/proc/self/task").glob("*") for pid in children(task.name)]
        forks = [pid for server in fork_server.pids() for pid in children(server, of=server)]
        return self._running([*pids, *forks])

    def _running(self, pids: list[int]) -> list[object]:
        kept = {*server_process.pids(), *fork_server.pids(), getattr(resource_tracker._resource_tracker, "_pid", None)}
        threads = [one for one in threading.enumerate() if not one.daemon and not one.name.startswith(KEPT)]
        processes = [pid for pid in pids if pid not in kept and _lives(pid)]
        return [one for one in [*processes, *threads] if one not in self._known]


def shut_pools_down() -> None:
    """End the idle threads of the pools for async callers. Later calls start new pools."""
    pools = own_threads._executors
    while pools:
        pools.popitem()[1].shutdown(wait=False)


def children(task: object, *, of: object = "self") -> list[int]:
    """The processes that a thread of process ``of`` has started; none where the kernel does not say (not Linux)."""
    try:
        return [int(pid) for pid in Path(f"/proc/{of}/task/{task}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _name(one: object) -> str:
    if isinstance(one, threading.Thread):
        return f"thread {one.name}"
    try:
        command = Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        command = ""
    return f"process {one} ({command.strip()[:200]})"
