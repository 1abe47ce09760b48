"""Turns of a write queue in other processes and threads, and what the kernel says of its locks."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from jobs.database.sqlite.write_queue import WriteQueue

ROOT = Path(__file__).resolve().parents[5]
HOLD = """
import sys
from jobs.database.sqlite.write_queue import WriteQueue
with WriteQueue(sys.argv[1]).turn(urgent=sys.argv[2] == "urgent"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def read_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def let_go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


@contextlib.contextmanager
def held_elsewhere(path: Path, how: str = "ordinary") -> Iterator[subprocess.Popen[str]]:
    with start(HOLD, str(path), how) as child:
        try:
            assert read_line(child) == "held"
            yield child
        finally:
            child.kill()


def is_locked(path: Path) -> bool:
    """Asked of the kernel through another open file, as another process would be answered."""
    import fcntl

    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def wait_until(fact: object, limit: float = 60) -> None:
    assert callable(fact)
    end = time.monotonic() + limit
    while not fact():
        assert time.monotonic() < end, "it did not happen within the time limit"
        time.sleep(0.002)


def waiting_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jobs-sqlite-queue"]


@contextlib.contextmanager
def queue_in_thread(queue: WriteQueue) -> Iterator[None]:
    """Raise here what a turn with a short limit raises on another thread."""
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            with queue.turn(limit_seconds=0.05):
                pass
        except BaseException as err:
            errors.append(err)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(60)
    for error in errors:
        raise error
    yield
