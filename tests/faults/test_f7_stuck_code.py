"""F7: code that does not end in time, of every kind that there is; and F6: code that takes its process with it.

Limit 2 s, hard limit 3 s later: recorded within 7 s, the slot back within 10 s, neighbours at most run once more.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.compiled import compile_shared
from tests.faults.fleet import record
from tests.worker.live import live_worker

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(240)]

RECORDED_SECONDS, SLOT_SECONDS = 7.0, 10.0

APP = """
import asyncio, ctypes, os, socket, time

LIMIT = timedelta(seconds=2)

class Fine(Job):
    def perform(self): return os.getpid()

class Neighbour(Job):
    def perform(self):
        time.sleep(6)

class Sleeps(Job, timeout=LIMIT):
    def perform(self): time.sleep(60)

class Spins(Job, timeout=LIMIT):
    def perform(self):
        while True: pass

class Receives(Job, timeout=LIMIT):
    def perform(self):
        one, other = socket.socketpair()
        one.recv(1)

class Swallows(Job, timeout=LIMIT):
    def perform(self):
        while True:
            try:
                while True: time.sleep(0.01)
            except BaseException: pass

class HoldsTheGil(Job, timeout=LIMIT):
    def perform(self): ctypes.PyDLL("./loop.so").forever()

class Naps(Job, timeout=LIMIT):
    async def perform(self): await asyncio.sleep(60)

class BlocksTheLoop(Job, timeout=LIMIT):
    async def perform(self): time.sleep(60)

class IgnoresCancel(Job, timeout=LIMIT):
    async def perform(self):
        while True:
            try: await asyncio.sleep(60)
            except BaseException: pass

class SpinsAlone(Job, isolated=True, timeout=LIMIT):
    def perform(self): ctypes.PyDLL("./loop.so").forever()

class Breaks(Job):
    def perform(self):
        time.sleep(0.1)
        ctypes.string_at(0)

class Eats(Job, memory="128M"):
    def perform(self): return len(bytearray(2 << 30))
"""

STUCK = [
    "Sleeps",
    "Spins",
    "Receives",
    "Swallows",
    "HoldsTheGil",
    "Naps",
    "BlocksTheLoop",
    "IgnoresCancel",
    "SpinsAlone",
]


def compile_loop(folder: Path) -> None:
    """A C function that never returns, in ``loop.so``; called through PyDLL it keeps the GIL."""
    (folder / "loop.c").write_text("volatile int go = 1; void forever(void) { while (go) { } }\n")
    compile_shared(folder / "loop.c", folder / "loop.so")


def measure(folder: Path, kind: str, *, url: str | None = None) -> dict[str, Any]:
    """The results of a stuck run of ``kind`` and of other runs, with one thread more than the stuck runs need."""
    compile_loop(folder)
    with live_worker(folder, app=APP, url=url, threads=2, hard_after="3s") as worker:
        (warm,) = worker.enqueue("Fine")
        worker.wait_until_final([warm])
        (neighbour,) = worker.enqueue("Neighbour")
        worker.wait_until_running(neighbour)

        (stuck,) = worker.enqueue(kind, max_attempts=1)
        worker.wait_until_running(stuck)
        began = time.monotonic()
        worker.wait_until_final([stuck], seconds=60)
        recorded = time.monotonic() - began
        fine = worker.enqueue("Fine", 2)
        worker.wait_until_final(fine)
        slot = time.monotonic() - began
        worker.wait_until_final([neighbour])

        return {
            "kind": kind,
            "outcomes": worker.outcomes(stuck),
            "recorded": recorded,
            "slot": slot,
            "neighbour": worker.run(neighbour),
            "neighbour_outcomes": worker.outcomes(neighbour),
            "replaced": bool(worker.logged("Process will be replaced")),
            "killed": bool(worker.logged("Process died")),
        }


SHORT = {"Receives", "HoldsTheGil", "BlocksTheLoop"}
"""One that a soft limit cannot reach, one that stops its process, one that stops its loop."""


@pytest.mark.parametrize("kind", [pytest.param(one, marks=[pytest.mark.short] * (one in SHORT)) for one in STUCK])
def test_stuck_code_is_recorded_and_its_slot_comes_back(tmp_path: Path, kind: str, is_full: bool) -> None:
    seen = measure(tmp_path, kind)

    assert seen["outcomes"] == ["timed_out"]
    if is_full:  # Otherwise other tests run beside it, on any machine.
        assert seen["recorded"] < RECORDED_SECONDS
        assert seen["slot"] < SLOT_SECONDS
        facts = {"recorded_seconds": round(seen["recorded"], 1), "slot_back_seconds": round(seen["slot"], 1)}
        record({"test": "F7", "case": kind, "neighbour_attempts": len(seen["neighbour_outcomes"]), **facts})
    assert seen["neighbour"].state == "succeeded"
    assert seen["neighbour"].charged == 0
    assert len(seen["neighbour_outcomes"]) <= 2


def test_a_loop_that_holds_the_gil_is_ended_on_postgresql_too(tmp_path: Path, pg_database: str) -> None:
    seen = measure(tmp_path, "HoldsTheGil", url=pg_database)

    assert seen["outcomes"] == ["timed_out"]
    assert seen["recorded"] < RECORDED_SECONDS
    assert seen["neighbour_outcomes"] == ["released", "succeeded"]


def test_f6_a_crash_and_a_memory_hog_become_poison_and_other_runs_run_at_most_once_more(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, processes=2, threads=4) as worker:
        innocents = worker.enqueue("Fine", 100)
        bad = worker.enqueue("Breaks") + worker.enqueue("Eats")
        innocents += worker.enqueue("Fine", 100)

        counts = worker.wait_until_final(bad, seconds=60)
        assert counts == {"dead": 2}
        assert worker.wait_until_final(innocents) == {"succeeded": 200}
        assert {worker.run(run).cause for run in bad} == {"poison"}
        assert worker.outcomes(bad[0]) == ["crashed"] * 3
        # Released, if it was in a child of the process that the other one took.
        assert [one for one in worker.outcomes(bad[1]) if one != "released"] == ["out_of_memory"] * 3
        assert max(len(worker.attempts(run)) for run in innocents) <= 2
        # Only the first crash took a process: after it the run was performed alone.
        assert len(worker.logged("Process died")) == 1
