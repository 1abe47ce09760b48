"""Start, recycling and replacement of worker processes, with real ones."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Event, Thread

import pytest

from jobs.ledger.operators import audit_queries
from jobs.operations.audit.operator import Operator
from jobs.operations.control.workers import roll_workers, supervised_by
from tests.worker.live import Live, live_worker

pytestmark = pytest.mark.slow

APP = """
import os, time

class Fine(Job):
    def perform(self):
        time.sleep(0.005)
        return os.getpid()

class Grows(Job):
    kept = []
    def perform(self): HELD.append(bytearray(os.urandom(1)) * (32 << 20))

HELD = []
CALLS = "prepared"

class Prepared(Job):
    @classmethod
    def prepare(cls):
        with open(CALLS, "a") as file: file.write(f"{os.getpid()}\\n")
        if len(open(CALLS).readlines()) <= FAILURES: raise RuntimeError("no model here")
    def perform(self): pass

FAILURES = 0
""".replace("    kept = []\n", "")


class Stream:
    """Enqueues steadily, from a thread, until stopped."""

    def __init__(self, worker: Live, kind: str, *, a_second: int) -> None:
        self.runs: list = []
        self._over = Event()
        self._thread = Thread(target=self._enqueue, args=(worker, kind, a_second))
        self._thread.start()

    def _enqueue(self, worker: Live, kind: str, a_second: int) -> None:
        while not self._over.wait(0.1):
            self.runs += worker.enqueue(kind, max(1, a_second // 10))

    def stop(self) -> list:
        self._over.set()
        self._thread.join()
        return self.runs


def test_prepare_is_called_once_a_process_before_the_first_run(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, threads=4) as worker:
        runs = worker.enqueue("Prepared", 20)

        assert worker.wait_until_final(runs) == {"succeeded": 20}
        assert len((tmp_path / "prepared").read_text().splitlines()) == 1


def test_a_prepare_that_fails_is_shown_and_tried_again_and_charges_no_run(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP.replace("FAILURES = 0", "FAILURES = 2"), threads=2) as worker:
        runs = worker.enqueue("Prepared", 10, max_attempts=1)
        fine = worker.enqueue("Fine", 10)

        assert worker.wait_until_final(runs + fine) == {"succeeded": 20}
        assert {worker.run(run).charged for run in runs} == {0}
        assert len(worker.logged("Prepare failed, the job's runs wait")) == 2
        snoozed = [one for run in runs for one in worker.attempts(run) if one.outcome == "snoozed"]
        assert "no model here" in snoozed[0].error_message


@pytest.mark.parametrize(("kind", "limit"), [("Fine", {"max_runs": 50}), ("Grows", {"max_memory": "200M"})])
def test_a_process_over_its_limit_is_replaced_without_a_gap(tmp_path: Path, kind: str, limit: dict) -> None:
    with live_worker(tmp_path, app=APP, threads=2, **limit) as worker:
        stream = Stream(worker, kind, a_second=200 if kind == "Fine" else 10)
        worker.wait_for(lambda: len(worker.logged("Process will be replaced")) >= 2, "two replacements")
        runs = stream.stop()

        assert worker.wait_until_final(runs, seconds=60) == {"succeeded": len(runs)}
        # Each run once: nothing was released, lost or charged.
        assert {worker.run(run).attempt for run in runs[:: max(1, len(runs) // 100)]} == {1}
        assert not worker.logged("Process died")
        # The old one went after the new one was there.
        events = [
            line for line in worker.said().splitlines() if '"Process ready"' in line or '"Process stopped"' in line
        ]
        assert ["ready" in line for line in events[:3]] == [True, True, False]


def test_a_rolling_restart_loses_and_charges_nothing(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, processes=2, threads=2) as worker:
        stream = Stream(worker, "Fine", a_second=200)
        worker.wait_for(lambda: len(worker.logged("Process ready")) == 2, "two processes")
        for generation in (2, 3):
            worker.processes[0].send_signal(signal.SIGHUP)
            worker.wait_for(lambda g=generation: len(worker.logged("Rolling restart done")) == g - 1, "rolled")
        runs = stream.stop()

        assert worker.wait_until_final(runs, seconds=60) == {"succeeded": len(runs)}
        assert {worker.run(run).attempt for run in runs} == {1}
        assert {len(worker.attempts(run)) for run in runs} == {1}
        assert not worker.logged("Process died")
        worker.wait_for(lambda: len(worker.logged("Process stopped")) == 4, "the old ones gone")
        moves = [
            1 if '"Process ready"' in line else -1
            for line in worker.said().splitlines()
            if '"Process ready"' in line or '"Process stopped"' in line
        ]
        assert min(sum(moves[:end]) for end in range(2, len(moves) + 1)) >= 2 - 1


def test_an_operator_asks_for_a_rolling_restart_through_the_ledger(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=APP, processes=2, threads=2, lease="9s") as worker:
        stream = Stream(worker, "Fine", a_second=50)
        worker.wait_for(lambda: len(worker.logged("Process ready")) == 2, "two processes")
        ada = Operator("ada@desk")
        (supervisor,) = supervised_by(worker.ledger, ada, None)

        assert roll_workers(worker.ledger, ada, [supervisor], reason="new code") == 2

        worker.wait_for(lambda: len(worker.logged("Process stopped")) == 2, "both replaced")
        runs = stream.stop()
        assert worker.wait_until_final(runs, seconds=60) == {"succeeded": len(runs)}
        assert {worker.run(run).attempt for run in runs} == {1}
        assert len(worker.logged("Rolling restart started")) == 1
        assert len(worker.logged("Process ready")) == 4
        with worker.ledger.database.read() as connection:
            (action,) = audit_queries.list_actions(connection)
        assert (action["verb"], action["target"], action["done"]) == ("roll", f"worker:{supervisor}", 2)


MEET = """
import asyncio
BEGUN, ALL = [], asyncio.Event()

class Meet(Job):
    async def perform(self):
        BEGUN.append(self.run.id)
        if len(BEGUN) == 500: ALL.set()
        await ALL.wait()
"""


def test_five_hundred_coroutines_are_performed_at_once_beside_runs_on_threads(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=MEET + APP, processes=1, threads=2) as worker:
        # None of them ends before all have begun.
        runs = worker.enqueue("Meet", 499)
        fine = worker.enqueue("Fine", 50)
        assert worker.wait_until_final(fine) == {"succeeded": 50}
        runs += worker.enqueue("Meet")

        assert worker.wait_until_final(runs) == {"succeeded": 500}
        assert {worker.run(run).attempt for run in runs} == {1}


def test_watching_the_code_restarts_with_what_was_written(tmp_path: Path) -> None:
    app = "class Says(Job):\n    def perform(self): return 'old'\n"
    with live_worker(tmp_path, app=app, options={"watch": [str(tmp_path)]}) as worker:
        (old,) = worker.enqueue("Says")
        worker.wait_until_final([old])

        source = (tmp_path / "app.py").read_text().replace("'old'", "'new'")
        (tmp_path / "app.py").write_text(source)
        os.utime(tmp_path / "app.py", (time.time() + 5, time.time() + 5))
        worker.wait_for(lambda: worker.logged("Rolling restart done"), "the restart")
        (new,) = worker.enqueue("Says")
        worker.wait_until_final([new])

        assert [worker.run(old).result, worker.run(new).result] == ["old", "new"]
