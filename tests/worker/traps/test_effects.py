"""What a job writes in its run's transaction is there exactly when its run succeeded."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, select

import jobs
from jobs.app import App
from jobs.states import Outcome, RunState
from tests.waiting import wait_until
from tests.worker.traps.stage import SOON, all_succeeded, attempts


class TestAnEffect:
    """Applied once: what a job writes in its run's transaction is there exactly when its run succeeded."""

    @pytest.fixture(autouse=True)
    def _table(self, app: App) -> None:
        type(self).table = Table("effects", MetaData(), Column("n", Integer))
        with app.database.write() as connection:
            type(self).table.create(connection)

    def effects(self, app: App) -> list[int]:
        with app.database.read() as connection:
            return list(connection.scalars(select(type(self).table.c.n)))

    def test_a_transaction_of_a_job_commits_with_its_success(self, app, start):
        run_id = Effect(n=7).enqueue().id
        start()

        assert all_succeeded(app, 1)
        assert self.effects(app) == [7]
        assert jobs.find(run_id).result == "kept"
        assert [one.outcome for one in attempts(app, run_id)] == [Outcome.SUCCEEDED]

    def test_an_error_after_the_block_rolls_the_transaction_back(self, app, start):
        run_id = Effect(n=7, fails=True).enqueue().id
        start()

        assert wait_until(lambda: jobs.find(run_id).state is RunState.DEAD, seconds=SOON)
        assert self.effects(app) == []

    def test_a_cancelled_run_commits_no_transaction(self, app, start):
        run_id = Effect(n=7, cancels=True).enqueue().id
        start()

        assert wait_until(lambda: jobs.find(run_id).state is RunState.CANCELLED, seconds=SOON)
        assert self.effects(app) == []


class Effect(jobs.Job, kind="traps.Effect", retry=jobs.Retry(max_attempts=1)):
    n: int
    fails: bool = False
    cancels: bool = False

    def perform(self) -> str:
        if self.cancels:
            jobs.cancel(self.run.id)
        with self.run.transaction() as session:
            session.execute(TestAnEffect.table.insert().values(n=self.n))
        if self.fails:
            raise ValueError("after the block")
        return "kept"
