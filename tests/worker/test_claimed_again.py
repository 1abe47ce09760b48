"""A worker that lost a run, and claims the same run again, has two attempts of it: each is known by its token. K.1"""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from jobs.database.models import JobRun
from jobs.ledger.runs.sweep import rescue
from tests.worker.live import live_worker

APP = """
import asyncio, time
from jobs.errors import Cancelled

class Sync(Job, timeout=timedelta(minutes=2)):
    def perform(self):
        until = time.monotonic() + (60 if self.run.attempt == 1 else 4)
        while time.monotonic() < until:
            time.sleep(0.02)
        return self.run.attempt

class Isolated(Sync, isolated=True):
    pass

class Async(Job, timeout=timedelta(minutes=2)):
    async def perform(self):
        await asyncio.sleep(60 if self.run.attempt == 1 else 4)
        return self.run.attempt
"""


def lose(worker, run_id):
    """The run's lease runs out unseen, and upkeep ends the attempt: as if its process had been frozen."""
    with worker.ledger.database.write() as connection:
        connection.execute(update(JobRun).where(JobRun.id == run_id).values(lease_until=JobRun.created_at))
        assert [one.run_id for one in rescue(connection, poison_after=3)] == [run_id]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Sync", "Async", "Isolated"])
def test_the_loss_of_an_attempt_ends_that_attempt_and_not_the_next_of_the_same_run(tmp_path, kind):
    # Renewed each second, so the loss is noticed one to two seconds after the second attempt has started.
    with live_worker(tmp_path, app=APP, lease="3s") as worker:
        (run_id,) = worker.enqueue(kind)
        worker.wait_until_running(run_id)
        time.sleep(0.5)  # Into perform.

        lose(worker, run_id)

        assert worker.wait_until_final([run_id]) == {"succeeded": 1}
        assert worker.outcomes(run_id) == ["abandoned", "succeeded"]
        assert worker.run(run_id).result == 2
        told = worker.wait_for(lambda: worker.attempts(run_id)[0].refused_outcome, "the end of the lost attempt")
        assert told in ("cancelled", "released")
        assert "outside the job" not in worker.said()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Sync", "Async", "Isolated"])
def test_a_cancellation_ends_the_attempt_that_holds_the_run_now(tmp_path, kind):
    with live_worker(tmp_path, app=APP, lease="3s") as worker:
        (run_id,) = worker.enqueue(kind)
        worker.wait_until_running(run_id)
        time.sleep(0.5)
        lose(worker, run_id)
        worker.wait_for(lambda: worker.run(run_id).attempt == 2, "the second attempt")

        worker.cancel(run_id)

        assert worker.wait_until_final([run_id]) == {"cancelled": 1}
        assert worker.outcomes(run_id) == ["abandoned", "cancelled"]
