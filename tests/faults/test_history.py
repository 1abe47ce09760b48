"""F1 and F3 while runs move to history: workers, movers and the server die, and each run is in exactly one place."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from jobs.operations.audit.operator import Operator
from jobs.operations.control.history import enable_history
from tests.faults.fleet import ROOT, Fleet
from tests.faults.processes import until
from tests.servers import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]

MOVE = """
import time
from datetime import timedelta
from jobs import boot
from jobs.errors import JobsError
from jobs.ledger.history import pick
from jobs.settings import Settings
from jobs.upkeep import history
import sys
pick.LEASES, pick.MOVES_AT_AGE, history.MOST = 0, timedelta(0), 100
mover = history.Mover(boot.build(Settings.model_validate_json(sys.argv[1])))
print("ready", flush=True)
while True:
    try:
        mover.turn()
    except JobsError:  # The server is away, or somebody holds a lock: the upkeep loop tries again too.
        time.sleep(0.2)
    time.sleep(0.01)
"""


COUNT = "select count(*) from job_history"


class Watch:
    """Looks all the time whether a run is in two places, or in none that was there before."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.looks = 0
        self.wrong: list[tuple[int, int]] = []
        self._most = 0

    def look(self, over: threading.Event) -> None:
        while not over.is_set():
            try:
                ((every, distinct),) = self._fleet.rows("select count(*), count(distinct id) from job_runs")
            except Exception:
                over.wait(0.2)  # The server is away.
                continue
            self.looks += 1
            if every != distinct or every < self._most:
                self.wrong.append((every, distinct))
            self._most = max(self._most, every)


@contextmanager
def moving(fleet: Fleet, watch: Watch) -> Iterator[None]:
    """Movers, each killed after a moment, and the watch."""
    over = threading.Event()

    def movers() -> None:
        while not over.is_set():
            command = [sys.executable, "-c", MOVE, fleet.settings.model_dump_json()]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as mover:
                assert mover.stdout is not None
                mover.stdout.readline()  # On a busy machine its start takes longer than its life.
                over.wait(1.0 + fleet.load.rng.random())
                mover.kill()

    threads = [threading.Thread(target=movers), threading.Thread(target=watch.look, args=(over,))]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in threads:
            one.join(60)


def test_f1_and_f3_while_runs_move_to_history(make_fleet, load, postgres: PostgresServer):
    fleet = make_fleet(start=False)
    enable_history(fleet.app, Operator("faults"), period="day")
    with fleet.app.database.write() as connection:
        connection.execute(text("update job_history_settings set moves_after = now()"))
    fleet.reads_history = True
    fleet.start()
    watch = Watch(fleet)

    with moving(fleet, watch):
        with fleet.under_load():
            for number in range(int(load.seconds)):
                time.sleep(1)
                fleet.kill_one()
                if number in (int(load.seconds / 3), int(2 * load.seconds / 3)):
                    postgres.stop(signal.SIGQUIT)
                    time.sleep(1)
                    postgres.start()
                    fleet.fault()
        drained = fleet.drained()
        assert until(lambda: fleet.value(COUNT), seconds=load.within(60))

    moved = fleet.value(COUNT)
    fleet.check("F1, F3 (history)", drained=drained, moved=moved, looks=watch.looks)
    assert watch.wrong == []
    assert watch.looks
    assert moved
    assert fleet.stop() == 0
