"""Runs performed in a child process: what they may do to it, and what they may not do to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.live import live_worker

pytestmark = pytest.mark.slow

APP = """
import asyncio, ctypes, os, time
from sqlalchemy import text

class Fine(Job):
    def perform(self): return os.getpid()

class Alone(Job, isolated=True):
    def perform(self): return [os.getpid(), os.getppid()]

class AloneAsync(Job, isolated=True):
    async def perform(self):
        await asyncio.sleep(0.05)
        return os.getpid()

class Breaks(Job, isolated=True):
    def perform(self): ctypes.string_at(0)

class Leaves(Job, isolated=True):
    def perform(self): os._exit(7)

class Eats(Job, memory="64M"):
    def perform(self): return len(bytearray(2 << 30))

class Asks(Job):
    def perform(self):
        if self.run.attempt == 1: bytearray(1 << 60)
        return [os.getpid(), os.getppid()]

class Fits(Job, memory="64M"):
    def perform(self): return len(bytearray(16 << 20))

class Hangs(Job, isolated=True, timeout=timedelta(seconds=0.5)):
    def perform(self):
        while True:
            try:
                while True: time.sleep(0.01)
            except BaseException: pass

class Writes(Job, isolated=True):
    fail: bool
    def perform(self):
        with self.run.transaction() as session:
            session.execute(text("INSERT INTO effects VALUES (:run)"), {"run": str(self.run.id)})
        if self.fail: raise RuntimeError("after the block")
        return "written"

class Waits(Job, isolated=True):
    def perform(self):
        while not self.run.should_stop: time.sleep(0.02)
        time.sleep(30)
"""


def test_isolated_runs_share_a_warm_child_and_not_their_worker(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, threads=1) as worker:
        fine, *alone = worker.enqueue("Fine") + worker.enqueue("Alone", 3)
        assert worker.wait_until_final([fine, *alone]) == {"succeeded": 4}

        pids = {tuple(worker.run(run).result) for run in alone}

        assert len(pids) == 1
        assert worker.run(fine).result not in {pid for pid, _ in pids}


def test_where_the_application_cannot_be_forked_the_children_are_fresh_interpreters(tmp_path: Path) -> None:
    keeps_a_thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    with live_worker(tmp_path, app=keeps_a_thread + APP, threads=1) as worker:
        alone, breaks = worker.enqueue("Alone", 2), worker.enqueue("Breaks", max_attempts=1)
        fine = worker.enqueue("Fine")

        assert worker.wait_until_final(alone + fine + breaks, seconds=60) == {"succeeded": 3, "dead": 1}
        assert worker.logged("Application cannot be forked, each process imports it")
        # A child of the worker process itself, for its zygote has been sent away.
        (pid,) = {tuple(worker.run(run).result) for run in alone}
        assert pid[1] == worker.run(fine[0]).result != pid[0]
        assert worker.outcomes(breaks[0])[0] == "crashed"
        assert not worker.logged("Process died")


def test_a_child_is_replaced_after_max_runs(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, threads=1, max_runs=2) as worker:
        alone = worker.enqueue("Alone", 4)
        assert worker.wait_until_final(alone) == {"succeeded": 4}

        assert len({worker.run(run).result[0] for run in alone}) == 2


def test_an_isolated_coroutine_is_performed(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        runs = worker.enqueue("AloneAsync", 2)

        assert worker.wait_until_final(runs) == {"succeeded": 2}


@pytest.mark.parametrize(("kind", "said"), [("Breaks", "signal 11"), ("Leaves", "exit 7")])
def test_a_crash_of_a_child_is_recorded_and_affects_no_other_run(tmp_path: Path, kind: str, said: str) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        (bad,) = worker.enqueue(kind)
        fine = worker.enqueue("Fine", 20)

        assert worker.wait_until_final([bad, *fine]) == {"dead": 1, "succeeded": 20}
        assert worker.outcomes(bad) == ["crashed"] * 3
        assert worker.run(bad).cause == "poison"
        assert said in worker.run(bad).error_message
        assert not worker.logged("Process died")


def test_what_takes_more_memory_than_its_limit_is_out_of_memory(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        eats, fits = worker.enqueue("Eats") + worker.enqueue("Fits")

        assert worker.wait_until_final([eats, fits]) == {"dead": 1, "succeeded": 1}
        assert worker.outcomes(eats) == ["out_of_memory"] * 3
        assert worker.run(eats).cause == "poison"


def test_memory_that_a_job_on_a_thread_cannot_have_is_recorded_and_tried_again_alone(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        (asks,) = worker.enqueue("Asks", max_attempts=2)

        assert worker.wait_until_final([asks]) == {"succeeded": 1}
        assert worker.outcomes(asks) == ["out_of_memory", "succeeded"]
        pid, parent = worker.run(asks).result
        (fine,) = worker.enqueue("Fine")
        worker.wait_until_final([fine])
        assert worker.run(fine).result not in (pid, parent)
        assert not worker.logged("Process died")


def test_a_child_that_does_not_end_at_its_limit_is_killed(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, hard_after="0.5s") as worker:
        (hangs,) = worker.enqueue("Hangs", max_attempts=1)
        worker.wait_until_running(hangs)

        assert worker.wait_until_final([hangs]) == {"dead": 1}
        assert worker.outcomes(hangs) == ["timed_out"]
        assert not worker.logged("Process will be replaced")


def test_writes_of_a_child_process_are_committed_exactly_when_its_run_succeeds(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        from sqlalchemy import text

        with worker.ledger.database.write() as connection:
            connection.execute(text("CREATE TABLE effects (run TEXT)"))
        (done,) = worker.enqueue("Writes", fail=False)
        (failed,) = worker.enqueue("Writes", max_attempts=1, fail=True)

        assert worker.wait_until_final([done, failed]) == {"succeeded": 1, "dead": 1}
        with worker.ledger.database.read() as connection:
            effects = connection.execute(text("SELECT run FROM effects")).scalars().all()
        assert effects == [str(done)]
        assert worker.outcomes(done) == ["succeeded"]
        assert worker.run(done).result == "written"


def test_cancelling_reaches_a_child_and_kills_it_when_it_does_not_end(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, hard_after="0.5s") as worker:
        (run,) = worker.enqueue("Waits")
        worker.wait_until_running(run)

        worker.cancel(run)

        worker.wait_for(lambda: worker.run(run).state == "cancelled", "the run cancelled", seconds=25)
