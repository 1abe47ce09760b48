"""Four worker processes on one SQLite file: each gets its part, and no renewal waits behind a batch."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

import jobs
from jobs import boot
from jobs.database.models import JobAttempt
from jobs.ledger.queries import reports
from jobs.states import RunState
from tests.waiting import wait_until
from tests.worker.fair_job import Tick

RUNS, PROCESSES = 20_000, 4
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_of_four_processes_on_sqlite_none_starves(sqlite_url, make_app, monkeypatch):
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    started = []
    try:
        for n in range(PROCESSES):
            argv = [sys.executable, "-m", "tests.worker.fair_job", sqlite_url, f"w{n}"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            started.append(subprocess.Popen(argv, cwd=ROOT, **pipes))  # type: ignore[call-overload]
        assert [process.stdout.readline() for process in started] == ["ready\n"] * PROCESSES
        longest = 0.0
        jobs.enqueue_many([Tick(n=n) for n in range(RUNS)])

        def done() -> bool:
            nonlocal longest
            began = time.monotonic()
            with app.database.write(urgent=True):
                pass
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.5)
            with app.database.read() as connection:
                return reports.count_by_state(connection) == {RunState.SUCCEEDED: RUNS}

        assert wait_until(done, seconds=120)
    finally:
        for process in started:
            process.stdin.close()
        for process in started:
            process.wait(60)
            process.stdout.close()

    with app.database.read() as connection:
        shares = dict(connection.execute(select(JobAttempt.worker, func.count()).group_by(JobAttempt.worker)).all())
    assert sum(shares.values()) == RUNS, "each run was performed once"
    assert len(shares) == PROCESSES
    assert min(shares.values()) >= RUNS / 10, shares
    assert longest < 15, "an urgent write, as a renewal is, goes before the batches"
