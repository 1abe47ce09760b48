"""The App of a process: made at first use, whatever interrupts that, and never carried into a fork half locked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, text

BEGIN = """
import os, signal, sys, threading, time
from jobs import Job, boot, enqueue_many

class Note(Job):
    n: int
    def perform(self): pass
"""


def run(script: str, url: str, *, seconds: float = 30.0) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    return subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        env=environment | {"JOBS_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def count(url: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        found: int = connection.scalar(text("select count(*) from job_runs"))
    engine.dispose()
    return found


@pytest.mark.parametrize("place", ["boot.build", "sqlite_locks._open_like"])
def test_a_signals_handler_that_enqueues_may_interrupt_the_very_first_enqueue(sqlite_url: str, place: str) -> None:
    # K.11. Where it is interrupted, a lock of ours is held.
    script = f"""
from jobs.database.sqlite import locks as sqlite_locks
module, name = {place.split(".")}
owner = globals()[module]
original = getattr(owner, name)
told = []

def interrupted(*given, **named):
    if not told:
        told.append(True)
        signal.raise_signal(signal.SIGUSR1)
    return original(*given, **named)

setattr(owner, name, interrupted)
signal.signal(signal.SIGUSR1, lambda number, frame: Note(n=2).enqueue())
enqueue_many([Note(n=1), Note(n=1)])
assert boot.existing() is boot.current()
Note(n=3).enqueue()
print("done")
"""
    ended = run(script, sqlite_url)

    assert ended.stdout.endswith("done\n"), ended.stderr
    assert count(sqlite_url) == 4


@pytest.mark.slow
def test_a_child_that_is_forked_while_other_threads_enqueue_can_write(sqlite_url: str) -> None:  # K.11
    script = """
over = threading.Event()

def enqueue():
    while not over.is_set():
        Note(n=1).enqueue()

for _ in range(3):
    threading.Thread(target=enqueue).start()
time.sleep(0.2)
codes = []
for n in range(30):
    child = os.fork()
    if not child:
        try:
            Note(n=2).enqueue()
            os._exit(0)
        except BaseException as error:
            print(error, flush=True)
            os._exit(1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
over.set()
print(codes.count(0), "of", len(codes))
"""
    ended = run(script, sqlite_url, seconds=100)

    assert ended.stdout.endswith("30 of 30\n"), ended.stdout[-500:] + ended.stderr[-500:]
