"""Runs that do not end in time, in real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.live import live_worker

pytestmark = pytest.mark.slow

APP = """
import asyncio, time

class Fine(Job):
    def perform(self): pass

class Late(Job, timeout=timedelta(seconds=0.5)):
    def perform(self): time.sleep(20)

class LateOnce(Job, timeout=timedelta(seconds=0.5)):
    def perform(self):
        if self.run.attempt == 1:
            while True: pass

class Back(Job, timeout=timedelta(seconds=0.5)):
    # Ends after its hard limit, and must not count.
    def perform(self):
        time.sleep(2.5)
        return "late"

class Waits(Job):
    def perform(self):
        while not self.run.should_stop: time.sleep(0.02)
        time.sleep(0.2)
        return "saw it"

class WaitsAsync(Job):
    async def perform(self): await asyncio.sleep(60)

class Nap(Job, timeout=timedelta(seconds=0.5)):
    async def perform(self): await asyncio.sleep(60)

class Blocks(Job):
    async def perform(self): time.sleep(1.5)
"""


def test_a_run_over_its_hard_limit_is_recorded_and_its_process_replaced(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, hard_after="1s", threads=1) as worker:
        (late,) = worker.enqueue("Late", max_attempts=1)

        assert worker.wait_until_final([late]) == {"dead": 1}
        after = worker.enqueue("Fine", 5)

        assert worker.wait_until_final(after) == {"succeeded": 5}
        (attempt,) = worker.attempts(late)
        assert attempt.outcome == "timed_out"
        assert "time.sleep(20)" in attempt.traceback
        worker.wait_for(lambda: worker.logged("Process will be replaced"), "the replacement")


def test_a_result_after_the_hard_limit_is_discarded(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, hard_after="0.5s") as worker:
        (back,) = worker.enqueue("Back", max_attempts=1)
        worker.wait_until_final([back])
        worker.wait_for(lambda: worker.logged("Process stopped"), "the stuck process gone")

        assert worker.run(back).state == "dead"
        assert worker.run(back).result is None
        assert worker.outcomes(back) == ["timed_out"]
        assert worker.attempts(back)[0].refused_at is None


def test_a_run_stopped_by_its_soft_limit_is_tried_again(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        (run,) = worker.enqueue("LateOnce")

        assert worker.wait_until_final([run]) == {"succeeded": 1}
        assert worker.outcomes(run) == ["timed_out", "succeeded"]


@pytest.mark.parametrize("kind", ["Waits", "WaitsAsync", "Late"])
def test_cancelling_reaches_a_run_while_it_is_performed(tmp_path: Path, kind: str) -> None:
    app = APP.replace("class Late(Job, timeout=timedelta(seconds=0.5))", "class Late(Job)").replace(
        "time.sleep(20)", "[time.sleep(0.01) for _ in range(2000)]"
    )
    with live_worker(tmp_path, app=app) as worker:
        (run,) = worker.enqueue(kind)
        worker.wait_until_running(run)

        worker.cancel(run)

        worker.wait_for(lambda: worker.run(run).state == "cancelled", "the run cancelled", seconds=15)
        assert worker.outcomes(run) == ["cancelled"]


def test_a_coroutine_over_its_limit_is_cancelled(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        (run,) = worker.enqueue("Nap", max_attempts=1)

        assert worker.wait_until_final([run]) == {"dead": 1}
        assert worker.outcomes(run) == ["timed_out"]
        assert not worker.logged("Process will be replaced")


def test_a_coroutine_that_blocks_the_loop_is_named(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP) as worker:
        (run,) = worker.enqueue("Blocks")

        assert worker.wait_until_final([run]) == {"succeeded": 1}
        (warning,) = worker.logged("Coroutine blocks the event loop and every other async job of its process")
        assert warning["kind"] == "Blocks"
        assert "time.sleep(1.5)" in warning["where"]


def test_at_shutdown_coroutines_are_released_uncharged(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, shutdown="0.5s") as worker:
        runs = worker.enqueue("WaitsAsync", 20)
        worker.wait_for(lambda: worker.states(runs).get("running") == 20, "20 running")

        worker.close()

        assert worker.processes[0].returncode == 0
        assert {worker.run(run).state for run in runs} == {"queued"}
        assert {worker.run(run).charged for run in runs} == {0}
        assert worker.outcomes(runs[0]) == ["released"]
