"""F8: the clocks of the nodes are two hours off, one either way, and step while runs come in."""

from __future__ import annotations

import struct
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.compiled import compile_shared
from tests.faults.processes import until
from tests.faults.work import Effect, Later

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(240)]

OFF = 7200.0
LEASE_SECONDS = 5
LATER_SECONDS = 4.0
LONG, DELAYED, LATER = 8, 100, 40


class WrongClock:
    """The clock of a node that is wrong by ``seconds``."""

    def __init__(self, library: Path, file: Path, seconds: float) -> None:
        self.file = file
        file.write_bytes(struct.pack("d", seconds))
        self.env = {"LD_PRELOAD": str(library), "CLOCK_OFF": str(file)}

    def step(self, seconds: float) -> None:
        with self.file.open("r+b") as file:
            file.write(struct.pack("d", seconds))


@pytest.mark.skipif(sys.platform != "linux", reason="a clock is put before a process's own by LD_PRELOAD")
@pytest.mark.parametrize("with_redis", [True, False], ids=["redis", "ledger"])
def test_f8_nodes_whose_clocks_are_two_hours_off_neither_rescue_nor_run_early(make_fleet, load, tmp_path, with_redis):
    load.runs, load.seconds = load.runs // 2, load.seconds / 2
    library = compile_shared(Path(__file__).with_name("clock.c"), tmp_path / "clock.so")
    ahead = WrongClock(library, tmp_path / "ahead", OFF)
    behind = WrongClock(library, tmp_path / "behind", -OFF)
    fleet = make_fleet(redis=with_redis, start=False, lease=LEASE_SECONDS)
    for clock in (ahead, behind):
        fleet.start(processes=2, env=clock.env)
    numbers = iter(range(load.runs, load.runs + LONG + DELAYED + LATER))
    for _ in range(LONG):
        Effect(n=next(numbers), seed=load.seed, sleep_seconds=2.5 * LEASE_SECONDS).enqueue(priority=-1)
    for _ in range(DELAYED):
        Effect(n=next(numbers), seed=load.seed).enqueue(delay=timedelta(seconds=2 + 15 * load.rng.random()))
    for n in numbers:
        Later(n=n, seed=load.seed, seconds=LATER_SECONDS).enqueue()

    with fleet.under_load():
        time.sleep(load.seconds / 2)
        ahead.step(-OFF)
        behind.step(OFF)
    fleet.fault()
    # The last enqueued for later may not be there yet.
    assert until(
        lambda: fleet.value("select count(*) from job_runs where kind = 'Later' and state <> 'succeeded'") == 0,
        seconds=load.within(30),
    )

    load.runs += LONG + DELAYED + LATER
    early = fleet.value("select count(*) from effects e join job_runs r on r.id::text = e.run_id where e.at < r.run_at")
    drained = fleet.drained()
    fleet.check("F8" if with_redis else "F8 (no Redis)", drained=drained, early=early)
    off = "extract(epoch from at) - node_time"
    assert fleet.value(f"select count(*) from effects where abs({off} + {OFF}) < 600") > 0, "no clock was ahead"
    assert fleet.value(f"select count(*) from effects where abs({off} - {OFF}) < 600") > 0, "no clock was behind"
    assert early == 0
    spans = "select extract(epoch from r.run_at - l.created_at) from job_runs r join job_runs l on r.parent_id = l.id"
    assert fleet.value(f"select min(span) from ({spans}) as spans(span)") >= LATER_SECONDS
    if load.is_timed:
        # A lease is 5 s, and a run performed for 12 s: who rescued by a clock that is ahead would have abandoned it.
        assert fleet.value("select count(*) from job_attempts where outcome = 'abandoned'") == 0
        assert fleet.value("select count(*) from job_attempts where refused_at is not null") == 0
    assert fleet.stop() == 0
