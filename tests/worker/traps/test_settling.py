"""How a worker process records the ends of attempts: in groups, each once, whatever is in the way of one of them."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

import jobs
from jobs import boot
from jobs.database.models import JobAttempt, JobRun
from jobs.events import BatchSettled
from jobs.ledger.queries import find
from jobs.ledger.records import Failure
from jobs.ledger.runs.claim import claim_due
from jobs.states import Outcome, RunState
from tests.waiting import wait_until
from tests.worker.traps.stage import SOON, STAGE, Hold, Note, all_succeeded, counts, running_rows
from worker.exchange.delivery import Delivery
from worker.process.process import Process


def test_group_commits_happen_on_the_settlers_thread_alone(app, start, heard):
    threads = set()
    app.events.subscribe(BatchSettled, lambda events: threads.add(threading.current_thread().name))
    start()
    jobs.enqueue_many([Note(n=n) for n in range(300)])

    assert all_succeeded(app, 300)
    assert threads == {"jobs-settler"}
    assert wait_until(lambda: sum(one.runs for one in heard[BatchSettled]) == 300, seconds=SOON)
    assert len([one for one in heard[BatchSettled] if one.runs]) < 150, "many endings are one commit"


def test_a_result_that_the_ledger_refuses_is_recorded_without_its_error_text(app, start):
    process = start()
    bad = Hold(n=0).enqueue().id
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    settle = process._settler._settle

    def refuse(batch: list[Delivery]) -> None:
        for one in batch:
            if one.claim.run_id == bad and one.attempt_result is not None and one.attempt_result.failure is None:
                one.attempt_result.outcome = Outcome.FAILED
                one.attempt_result.failure = Failure("E" * 300, "too long for its column", None, "f" * 40)
        settle(batch)

    process._settler._settle = refuse
    jobs.enqueue_many([Note(n=n) for n in range(1, 40)])
    STAGE.gate.set()

    assert wait_until(lambda: counts(app).get(RunState.SUCCEEDED, 0) == 39, seconds=SOON)
    assert wait_until(lambda: jobs.find(bad).state is not RunState.RUNNING, seconds=SOON)
    assert not process.failed.is_set()
    assert jobs.find(bad).error_type is not None


def test_a_foreign_row_with_an_attempts_number_delays_no_other_run(app, start):
    """The row of its attempt is there already: the attempt takes the next number, and everything else is settled."""
    process = start()
    bad = Hold(n=0).enqueue().id
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    row = {"run_id": bad, "attempt": 1, "token": bad, "outcome": "failed"}
    with app.database.write() as connection:
        moments = {"started_at": app.clock.now(), "finished_at": app.clock.now()}
        connection.execute(JobAttempt.__table__.insert().values(**row, **moments))
    jobs.enqueue_many([Note(n=n) for n in range(1, 40)])
    STAGE.gate.set()

    assert wait_until(lambda: counts(app).get(RunState.SUCCEEDED, 0) == 40, seconds=SOON)
    assert wait_until(lambda: len(process._held_leases) == 0, seconds=SOON)
    assert [one.attempt for one in jobs.attempts(bad)] == [1, 2]
    assert not process.failed.is_set()


def test_a_run_whose_lease_was_lost_is_refused_and_performed_by_its_next_holder(app, start, heard):
    start("slow")
    run_id = Hold().enqueue().id
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    with app.database.write() as connection:
        lost = {"state": "queued", "token": None, "lease_until": None}
        connection.execute(update(JobRun).where(JobRun.id == run_id).values(**lost))
        (heir,) = claim_due(
            connection, "default", count=1, kinds=["traps.Hold"], worker="heir", lease=timedelta(seconds=60)
        )
    STAGE.gate.set()

    assert not wait_until(lambda: jobs.find(run_id).state is not RunState.RUNNING, seconds=0.5)
    assert (jobs.find(run_id).worker, heir.attempt) == ("heir", 2)


class TestTheLedgerIsAway:
    @pytest.mark.slow
    def test_results_during_an_outage_are_settled_when_the_ledger_is_back(
        self, pg_server, pg_database, make_app, monkeypatch, request
    ):
        app = make_app(pg_database, threads=4)
        monkeypatch.setattr(boot, "_app", app)
        STAGE.clear()
        process = Process(app, "w1", running_rows(), queues=["default"])
        process.start()
        try:
            jobs.enqueue_many([Hold(n=n) for n in range(4)])
            assert wait_until(lambda: len(STAGE.began) == 4, seconds=SOON)
            pg_server.stop()
            STAGE.gate.set()
            assert wait_until(lambda: process._fetcher.buffer.busy == 0, seconds=SOON)
            pg_server.start()

            assert wait_until(lambda: counts(app) == {RunState.SUCCEEDED: 4}, seconds=60)
            with app.database.read() as connection:
                assert {one.attempt for one in find.list_runs(connection)} == {1}
            assert not process.failed.is_set()
        finally:
            STAGE.gate.set()
            pg_server.start()
            process.stop(5)
