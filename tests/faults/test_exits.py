"""F10: the program that enqueues exits hard around its own commit: committed is performed once, else never."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import text

from tests.faults.exiting import POINTS, ROLLED_BACK, UNKNOWN
from tests.faults.fleet import ROOT, record
from tests.faults.processes import until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(500), pytest.mark.short]


def test_f10_what_a_program_committed_is_performed_once_wherever_it_exits(make_fleet, load, is_full):
    times = 50 if is_full else 2
    fleet = make_fleet()
    with fleet.engine.begin() as connection:
        connection.execute(text("create table orders (n integer primary key, point varchar(30) not null)"))

    tried = subprocess.run(
        [sys.executable, "-m", "tests.faults.exiting", fleet.settings.model_dump_json(), "0", str(times), "7"],
        cwd=ROOT, capture_output=True, text=True, timeout=400,  # 900 processes, on any machine
    )  # fmt: skip
    fleet.fault()

    assert tried.returncode == 0, tried.stderr
    drained = fleet.drained()
    # A commit whose sender is gone may still be on its way when the sender is waited for.
    orders = "select n from orders order by n"
    assert until(lambda: fleet.rows(orders) == fleet.rows("select n from effects order by n"), seconds=load.within(15))
    assert fleet.left() == 0
    committed = dict(fleet.rows("select point, count(*) from orders group by point"))
    assert all(committed.get(point, 0) == 0 for point in ROLLED_BACK)
    assert all(committed[point] == times for point in POINTS if point not in (*ROLLED_BACK, UNKNOWN))
    found = {
        "test": "F10",
        "seed": 7,
        "runs": fleet.value("select count(*) from job_runs"),
        "kills": times * len(POINTS),
    }
    found |= {"effects": fleet.value("select count(*) from effects"), "committed": committed}
    found |= {"distinct": fleet.value("select count(distinct n) from effects"), "drained_seconds": round(drained, 1)}
    print(found)
    assert found["runs"] == found["effects"] == sum(committed.values())
    assert fleet.value("select count(*) from job_attempts") == fleet.value("select sum(attempt) from job_runs")
    if load.is_timed:
        record(found)
    assert fleet.stop() == 0
