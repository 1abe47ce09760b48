"""F1 for a long job: its process is killed again and again, and each of a million rows is there once.

By itself: ``make faults ARGS="-k long_import"``; ``JOBS_TEST_IMPORT_ROWS=200000`` makes it shorter.
Each time another seed decides about the kills; ``JOBS_TEST_IMPORT_SEED=7`` takes that of a failure again.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

import jobs
from jobs import RunState
from jobs.app import App
from jobs.ledger import workers
from tests.faults.importing import METADATA, ROWS, ImportRows
from tests.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(500)]

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("JOBS_TEST_IMPORT_SEED") or random.SystemRandom().randrange(10**6))
LASTS_SECONDS = 20.0
"""Long enough for several kills, one a second, on any machine."""
TOTAL = int(os.environ.get("JOBS_TEST_IMPORT_ROWS", "1000000"))


def test_each_row_of_a_long_import_is_there_once_however_often_its_process_is_killed(
    app: App, ledger_url: str, tmp_path: Path
) -> None:
    METADATA.create_all(app.database.engine)
    run_id = ImportRows(total=TOTAL, size=5000, seconds=LASTS_SECONDS).enqueue().id
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JOBS_DATABASE_URL": ledger_url, "JOBS_POISON_AFTER": "100"}
    command = [sys.executable, "-m", "admin_cli.main", "worker", "--import", "tests.faults.importing"]
    print(f"JOBS_TEST_IMPORT_SEED={SEED}")
    chance, kills = random.Random(SEED), 0
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen([*command, "--processes", "2"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(400):
            if wait_until(lambda: jobs.find(run_id).state in (RunState.SUCCEEDED, RunState.DEAD), seconds=1):
                break
            run = jobs.find(run_id)
            if run.state is RunState.RUNNING and kills < 15 and (chance.random() < 0.7 or kills < 2):
                with app.database.read() as connection:
                    pids = [one.pid for one in workers.live(connection) if one.name == run.worker]
                for pid in pids:
                    try:
                        os.kill(pid, signal.SIGKILL)
                        kills += 1
                    except ProcessLookupError:
                        pass
    finally:
        worker.terminate()
        worker.wait(40)

    run = jobs.find(run_id)
    assert (run.state, run.result) == (RunState.SUCCEEDED, TOTAL)
    assert kills >= 2
    with app.database.read() as connection:
        count, different = connection.execute(select(func.count(ROWS.c.n), func.count(ROWS.c.n.distinct()))).one()
    assert (count, different) == (TOTAL, TOTAL)
