"""Jobs that do what jobs should not do: each gets its own result, and no other run is affected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.conftest import is_alive
from tests.worker.live import live_worker

pytestmark = pytest.mark.slow

APP = """
import asyncio, multiprocessing, os, signal, sys, time

class Nap(Job):
    async def perform(self):
        await asyncio.sleep(0.5)

class StopsLoop(Job):
    async def perform(self):
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return "went on"

class TaskExits(Job):
    async def perform(self):
        async def leave(): sys.exit(3)
        task = asyncio.create_task(leave())
        await asyncio.sleep(0.01)
        return "went on"

class Mute(Job):
    def perform(self):
        class Silent(Exception):
            def __str__(self): raise KeyboardInterrupt
        raise Silent

class Forks(Job):
    def perform(self):
        return os.fork()

class ForksAndExits(Job):
    def perform(self):
        child = os.fork()
        if not child: sys.exit(3)
        return [child, os.waitpid(child, 0)[1] >> 8]

class ForksInTransaction(Job):
    def perform(self):
        with self.run.transaction():
            Nap().enqueue()
            return os.fork()

class AsyncForks(Job):
    async def perform(self):
        return os.fork()

class Terminates(Job):
    def perform(self):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
        child.terminate()
        child.join(60)
        return child.exitcode

class TerminatesAlone(Terminates, isolated=True): pass

class SignalsItself(Job):
    def perform(self):
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): os.kill(os.getpid(), one)
        time.sleep(0.1)
        return "lives"

class SignalsItselfAlone(SignalsItself, isolated=True): pass

class Endless(Job):
    def perform(self):
        return (time.sleep(0.01) for _ in iter(int, 1))

class Fine(Job):
    def perform(self): return 1
"""


@pytest.mark.parametrize("kind", ["StopsLoop", "TaskExits"])
def test_a_job_that_stops_the_loop_does_not_stop_it_for_its_neighbours(tmp_path: Path, kind: str) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        naps = worker.enqueue("Nap", 20)
        (odd,) = worker.enqueue(kind)
        naps += worker.enqueue("Nap", 20)

        assert worker.wait_until_final([*naps, odd]) == {"succeeded": 41}
        assert worker.run(odd).result == "went on"
        assert {worker.run(nap).attempt for nap in naps} == {1}


def test_an_error_whose_text_raises_costs_no_thread_and_no_process(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, threads=2) as worker:
        odd = worker.enqueue("Mute", 5, max_attempts=1)
        fine = worker.enqueue("Fine", 20)

        assert worker.wait_until_final(odd + fine) == {"dead": 5, "succeeded": 20}
        assert {outcome for run in odd for outcome in worker.outcomes(run)} == {"failed"}
        assert not worker.logged("Process died")


def test_a_process_that_a_job_forked_does_not_go_on_as_a_worker(tmp_path: Path, ledger_url: str) -> None:
    with live_worker(tmp_path, app=APP, url=ledger_url) as worker:
        for kind in ("Forks", "ForksAndExits", "ForksInTransaction", "AsyncForks"):
            (odd,) = worker.enqueue(kind, max_attempts=1)
            fine = worker.enqueue("Fine", 20)

            assert worker.wait_until_final([odd, *fine]) == {"succeeded": 21}
            result = worker.run(odd).result
            child, status = result if isinstance(result, list) else (result, 3)
            worker.wait_for(lambda pid=child: not is_alive(pid), "the child's end")
            assert status == 3
            assert worker.outcomes(odd) == ["succeeded"]
        # The objects that the children shared with their parent still work.
        assert worker.wait_until_final(worker.enqueue("Fine", 20)) == {"succeeded": 20}


def test_what_a_job_forks_can_be_terminated(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        runs = [*worker.enqueue("Terminates"), *worker.enqueue("TerminatesAlone")]

        assert worker.wait_until_final(runs) == {"succeeded": 2}
        assert [worker.run(run).result for run in runs] == [-15, -15]


def test_signals_meant_for_the_supervisor_do_not_end_its_processes(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        runs = [*worker.enqueue("SignalsItself"), *worker.enqueue("SignalsItselfAlone")]

        assert worker.wait_until_final(runs) == {"succeeded": 2}
        assert {run_id: worker.outcomes(run_id) for run_id in runs} == {run_id: ["succeeded"] for run_id in runs}


def test_a_result_that_never_ends_is_not_read(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, threads=1) as worker:
        (odd,) = worker.enqueue("Endless")

        assert worker.wait_until_final([odd]) == {"succeeded": 1}
        assert worker.run(odd).result is None
        assert worker.logged("Result could not be stored")
