"""Real workers: an open breaker spends no attempts, and a tenant's run does not wait behind another's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field
from sqlalchemy import func, select

from jobs import Job, boot
from jobs.database.models import JobAttempt, JobBreaker, JobRun
from jobs.settings import Settings
from tests.worker.live import Live, live_worker

RUNS, AFTER = 40, 5
APP = f"""
import pathlib, time
from typing import Annotated
from pydantic import Field
from jobs import Breaker, Retry

class Pay(Job, kind="Pay", breaker=Breaker(after={AFTER}, open_for=timedelta(seconds=1)), retry=Retry(max_attempts=9)):
    flag: str

    def perform(self):
        time.sleep(0.05)
        if not pathlib.Path(self.flag).exists():
            raise ConnectionError("down")

class Export(Job, kind="Export", fair_by="tenant"):
    tenant: Annotated[str, Field(max_length=20)]

    def perform(self):
        time.sleep(0.01)
"""


def worker_over(tmp_path: Path, request: pytest.FixtureRequest, mode: str):  # type: ignore[no-untyped-def]
    given = {"url": request.getfixturevalue("pg_database")} if mode != "sqlite" else {}
    if mode == "redis":
        given["redis_url"] = request.getfixturevalue("redis_url")
    return live_worker(tmp_path, app=APP, processes=2, threads=2, **given), given


def publish_too(worker: Live, given: dict[str, str]) -> None:
    """Enqueue into the ready index, as an application with Redis does."""
    if "redis_url" in given:
        worker.ledger.close()
        worker.ledger = boot.build(Settings(database_url=given["url"], redis_url=given["redis_url"]))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sqlite", "postgresql", "redis"])
def test_during_an_outage_a_breaker_spends_few_attempts_and_every_run_succeeds_afterwards(
    tmp_path: Path, request: pytest.FixtureRequest, mode: str
) -> None:
    context, given = worker_over(tmp_path, request, mode)
    flag = tmp_path / "it works"
    with context as worker:
        publish_too(worker, given)
        runs = worker.enqueue("Pay", RUNS, flag=str(flag))

        def is_open() -> bool:
            with worker.ledger.database.read() as connection:
                parked = connection.scalar(select(func.count()).where(JobRun.hold == "parked")) or 0
                canaries = connection.scalar(select(JobBreaker.failed_canaries)) or 0
            return parked >= RUNS / 2 and canaries >= 1

        worker.wait_for(is_open, "the breaker open, and a canary that failed")
        flag.touch()
        worker.wait_until_final(runs)

        assert worker.states(runs) == {"succeeded": RUNS}
        with worker.ledger.database.read() as connection:
            failed = connection.scalar(select(func.count()).where(JobAttempt.outcome == "failed")) or 0
            assert connection.scalar(select(func.count()).where(JobRun.hold.is_not(None))) == 0
    assert AFTER <= failed < RUNS


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sqlite", "postgresql", "redis"])
def test_a_tenants_run_starts_before_most_of_anothers_that_were_there_first(
    tmp_path: Path, request: pytest.FixtureRequest, mode: str
) -> None:
    class Export(Job, fair_by="tenant"):
        tenant: Annotated[str, Field(max_length=20)]

        def perform(self) -> None: ...

    context, given = worker_over(tmp_path, request, mode)
    with context as worker:
        publish_too(worker, given)
        many = worker.enqueue("Export", 600, tenant="busy")
        one = worker.enqueue("Export", 1, tenant="new")
        worker.wait_until_final(one + many, seconds=90)

        (new,) = worker.attempts(one[0])
        before = select(func.count()).where(JobAttempt.started_at < new.started_at)
        with worker.ledger.database.read() as connection:
            assert connection.scalar(before) < 400
