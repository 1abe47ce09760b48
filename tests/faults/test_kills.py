"""F1, F20: worker processes die at random moments."""

from __future__ import annotations

import time

import pytest

from tests.faults.fleet import Fleet

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(240)]


def kill_every_second(fleet: Fleet, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(1)
        fleet.kill_one()


@pytest.mark.short
def test_f1_a_worker_process_is_killed_every_second(make_fleet, load):
    fleet = make_fleet()

    with fleet.under_load():
        kill_every_second(fleet, load.seconds)

    fleet.check("F1", drained=fleet.drained())
    assert fleet.kills >= load.seconds * 0.5
    assert fleet.stop() == 0


def test_f20_a_worker_process_on_sqlite_is_killed_every_second(make_fleet, load, tmp_path):
    load.runs, load.seconds = min(load.runs, 2_000), min(load.seconds, 30.0)
    fleet = make_fleet(f"sqlite:///{tmp_path / 'jobs.db'}", redis=False)

    with fleet.under_load():
        kill_every_second(fleet, load.seconds)

    fleet.check("F20", drained=fleet.drained())
    assert fleet.stop() == 0
