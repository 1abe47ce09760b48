"""A real worker under a limit: no more runs at once, no pause between them, and no attempt for parking."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import func, select

from jobs import boot
from jobs.database.models import JobAttempt, JobLimitSlot, JobRun
from jobs.settings import Settings
from tests.worker.live import live_worker

RUNS, MOST, SECONDS = 24, 2, 0.2
APP = f"""
import time
from jobs import Limit

class Charge(Job, kind="Charge", limits=Limit({MOST}, by="account")):
    account: str

    def perform(self):
        time.sleep({SECONDS})

class Free(Job, kind="Free"):
    def perform(self): ...
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sqlite", "postgresql", "redis"])
def test_runs_of_a_key_perform_two_at_a_time_without_a_pause_between_them(
    tmp_path: Path, request: pytest.FixtureRequest, mode: str
) -> None:
    given = {"url": request.getfixturevalue("pg_database")} if mode != "sqlite" else {}
    if mode == "redis":
        given["redis_url"] = request.getfixturevalue("redis_url")
    with live_worker(tmp_path, app=APP, processes=2, threads=4, **given) as worker:
        if mode == "redis":
            worker.ledger.close()
            worker.ledger = boot.build(Settings(database_url=given["url"], redis_url=given["redis_url"]))
        worker.wait_until_final(worker.enqueue("Charge", account="warm up"))
        runs = worker.enqueue("Charge", RUNS, account="hot")
        free = worker.enqueue("Free", 20)
        worker.wait_until_final(free + runs)

        assert max(worker.attempts(one)[-1].finished_at for one in free) < max(
            worker.attempts(one)[-1].finished_at for one in runs
        ), "who needs no place waits for none"
        with worker.ledger.database.read() as connection:
            spans = connection.execute(
                select(JobAttempt.started_at, JobAttempt.finished_at).where(JobAttempt.run_id.in_(runs))
            ).all()
            assert connection.scalar(select(func.count()).where(JobRun.hold.is_not(None))) == 0
            slots = select(func.count()).select_from(JobLimitSlot)
            assert connection.scalar(slots) == 0
    assert len(spans) == RUNS, "one attempt for each run: parking is none"
    assert max(sum(1 for one in spans if one[0] <= start < one[1]) for start, _ in spans) <= MOST
    # From the end of each run to the start of the one that gets its place. Without an exchange it would be a poll.
    starts, ends = sorted(start for start, _ in spans), sorted(end for _, end in spans)
    pauses = [(after - end).total_seconds() for end, after in zip(ends, starts[MOST:], strict=False)]
    print(f"{mode}: {median(pauses):.3f} s between two runs, {max(pauses):.3f} at most")
    assert median(pauses) < SECONDS
