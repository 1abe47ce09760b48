"""F16: one deploy after another under load, old and new code side by side (`make faults`: ten, with
10 s to stop in; else four, and 2 s)."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event, Thread
from uuid import UUID

import pytest

from tests.faults.fleet import record
from tests.worker.live import Live, live_worker

pytestmark = [pytest.mark.slow, pytest.mark.faults]

DEPLOYS = 4

FIRST = """
import time

class Short(Job):
    def perform(self): time.sleep(0.005)

class Long(Job):
    def perform(self): time.sleep(2.5)

class Grown(Job, version={version}):
    {fields}

    @classmethod
    def upcast(cls, arguments, version):
        return {{**{{f"field_{{n}}": n for n in range(version, cls.options.version)}}, **arguments}}

    def perform(self): return self.options.version
"""


def code(deploy: int) -> str:
    """The application as of this deploy: each adds a kind, and a field to a job that there is."""
    fields = "\n    ".join(f"field_{n}: int" for n in range(deploy + 1))
    kinds = "".join(f"\nclass New{n}(Job):\n    def perform(self): pass\n" for n in range(1, deploy + 1))
    return FIRST.format(version=deploy + 1, fields=fields) + kinds


class Load:
    """Enqueues the jobs of the present code, until stopped."""

    def __init__(self, worker: Live) -> None:
        self.worker = worker
        self.deploy = 0
        self.runs: list[UUID] = []
        self._over = Event()
        self._thread = Thread(target=self._enqueue)
        self._thread.start()

    def _enqueue(self) -> None:
        while not self._over.wait(0.1):
            deploy = self.deploy
            fields = {f"field_{n}": n for n in range(deploy + 1)}
            self.runs += self.worker.enqueue("Short", 10)
            self.runs += self.worker.enqueue("Grown", 2, arguments_version=deploy + 1, **fields)
            self.runs += self.worker.enqueue(f"New{deploy}", 2) if deploy else []

    def stop(self) -> list[UUID]:
        self._over.set()
        self._thread.join()
        return self.runs


def test_deploys_under_load_lose_nothing_and_dead_letter_nothing(tmp_path: Path, is_full: bool) -> None:
    deploys, limit = (10, "10s") if is_full else (DEPLOYS, "2s")
    settings = {"processes": 2, "threads": 4, "shutdown": limit}
    with live_worker(tmp_path, app=code(0), **settings) as worker:
        old = worker.processes[0]
        new = worker.start()
        worker.wait_for(lambda: len(worker.logged("Process ready")) >= 4, "both workers")
        load = Load(worker)
        long = worker.enqueue("Long", 6)
        for deploy in range(1, deploys + 1):
            # The enqueueing program is deployed first, so for a moment no worker knows the new kind and the new
            # field.
            load.deploy = deploy
            worker.write_app(code(deploy))
            new.send_signal(signal.SIGHUP)
            worker.wait_for(lambda d=deploy: len(worker.logged("Rolling restart done")) >= d, "the deploy", seconds=60)
        # The old worker never knew the new kinds; it follows at last.
        old.send_signal(signal.SIGHUP)
        worker.wait_for(lambda: len(worker.logged("Rolling restart done")) > deploys, "the last deploy", seconds=60)
        runs = load.stop() + long

        assert worker.wait_until_final(runs, seconds=60) == {"succeeded": len(runs)}
        assert {worker.run(run).charged for run in runs} == {0}
        outcomes = {outcome for run in runs for outcome in worker.outcomes(run)}
        assert outcomes <= {"succeeded", "released", "snoozed"}
        assert not worker.logged("Process died")
        if is_full:
            record(
                {
                    "test": "F16", "runs": len(runs), "succeeded": len(runs), "deploys": deploys,
                    "released": sum("released" in worker.outcomes(run) for run in long),
                }
            )  # fmt: skip


RENAMED = """
class Invoice(Job):
    {field}: int

    def perform(self): return "{field}"
"""


def test_a_field_renamed_without_a_version_kills_nothing_while_both_releases_are_live(tmp_path: Path) -> None:
    with live_worker(tmp_path, app=RENAMED.format(field="order"), processes=1, threads=2, shutdown="2s") as worker:
        old = worker.processes[0]
        worker.wait_for(lambda: worker.logged("Process ready"), "the old release")
        worker.write_app(RENAMED.format(field="order_id"))
        worker.start()
        worker.wait_for(lambda: len(worker.logged("Process ready")) >= 2, "the new release")
        runs = {field: worker.enqueue("Invoice", 10, **{field: 1}) for field in ("order", "order_id")}

        every = [run for some in runs.values() for run in some]
        assert worker.wait_until_final(every, seconds=120) == {"succeeded": 20}
        assert {(worker.run(run).result, worker.run(run).charged) for run in runs["order"]} == {("order", 0)}
        assert {(worker.run(run).result, worker.run(run).charged) for run in runs["order_id"]} == {("order_id", 0)}
        assert {one for run in every for one in worker.outcomes(run)} <= {"succeeded", "snoozed"}

        old.send_signal(signal.SIGTERM)
        old.wait(30)
        (known,), (unknown,) = worker.enqueue("Invoice", order_id=1), worker.enqueue("Invoice", order=1)
        assert worker.wait_until_final([known, unknown], seconds=60) == {"succeeded": 1, "dead": 1}
        assert worker.run(unknown).cause == "bad_arguments"
