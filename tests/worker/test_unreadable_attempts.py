"""K.6: rows of attempts and leases that no worker of ours wrote stop no run."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from jobs import Job, Retry
from jobs.clock import new_run_id
from jobs.database.models import JobAttempt
from jobs.enqueue.write_path import enqueue_runs
from jobs.ledger.queries.find import list_attempts
from jobs.ledger.records import NewRun
from jobs.ledger.runs.claim import claim_due
from jobs.ledger.runs.lease import renew
from jobs.states import RunState
from jobs.upkeep.ledger_reach import Reach
from jobs.upkeep.rescue import rescue_abandoned
from tests.worker.conftest import wait_for
from tests.worker.one_process import started
from tests.worker.spoiled import every, has_settled, runs_of, spoil

FAR_LEASES = {
    "postgresql": ["infinity", "294000-01-01 00:00:00+00", "2999-01-01 00:00:00+00"],
    "sqlite": ["infinity", "next week", b"\xff\x00", "9999-12-31 00:00:00.000000", "2999-01-01 00:00:00"],
}


def test_a_run_whose_lease_never_ends_is_rescued_when_its_holder_is_gone(ledger_url, make_app):
    # K.6
    app = make_app(ledger_url, lease=1)
    cases = FAR_LEASES[app.database.dialect]
    runs = runs_of(len(cases) + 1)
    enqueue_runs(app, runs)
    with app.database.write() as connection:
        claims = claim_due(
            connection,
            "unreadable",
            count=len(runs),
            kinds=["unreadable.Note"],
            worker="gone",
            lease=app.settings.lease,
        )
    for run, value in zip(runs, [*cases, cases[0]], strict=True):
        spoil(app, run, "lease_until", value)
    kept = next((one.run_id, one.token) for one in claims if one.run_id == runs[-1].id)

    reach = Reach(app.clock, lease=app.settings.lease)
    assert rescue_abandoned(app, reach=reach) == (0, [])

    def is_rescued():
        with app.database.write() as connection:
            # Its holder lives, and keeps what it has.
            assert renew(connection, [kept], lease=app.settings.lease) == {kept[1]}
        rescue_abandoned(app, reach=reach)
        return all(run.state is RunState.QUEUED for run in every(app) if run.id != kept[0])

    wait_for(is_rescued, "every run queued again")
    with app.database.read() as connection:
        for run in runs[:-1]:
            assert [one.outcome for one in list_attempts(connection, run.id)] == ["abandoned"]


class Fail(Job, queue="unreadable", retry=Retry(max_attempts=2, first=timedelta(milliseconds=1))):
    def perform(self) -> None:
        raise ValueError("no luck")


def take_attempt(app, run_id, number, outcome="crashed"):
    """Write an attempt's row before the attempt ends, as no release of ours does."""
    now = app.clock.now()
    with app.database.write() as connection:
        connection.execute(
            JobAttempt.__table__.insert().values(
                run_id=run_id, attempt=number, token=UUID(int=7), outcome=outcome, started_at=now, finished_at=now
            )
        )


class TestARowWithAnAttemptsNumber:
    @pytest.mark.parametrize("taken", [(1,), (1, 2), (1, 3), (1, 2**31 - 1)])
    def test_the_attempt_ends_under_the_next_free_number_and_so_do_its_neighbours(self, app, taken):
        # K.6
        runs = runs_of(20)
        enqueue_runs(app, runs)
        for number in taken:
            take_attempt(app, runs[7].id, number)

        with started(app, "unreadable"):
            wait_for(lambda: has_settled(app, {run.id for run in runs}), "every run succeeded")

        free = 3 if taken == (1, 2) else 2
        with app.database.read() as connection:
            stored = {one.attempt: one.outcome for one in list_attempts(connection, runs[7].id)}
            assert stored == {**dict.fromkeys(taken, "crashed"), free: "succeeded"}
            assert [one.attempt for one in list_attempts(connection, runs[8].id)] == [1]
        (run,) = [one for one in every(app) if one.id == runs[7].id]
        assert (run.attempt, run.result) == (free, 7)

    def test_a_run_with_an_odd_row_is_retried_and_every_attempt_is_recorded(self, app):
        # K.6
        run = NewRun(id=new_run_id(), kind="Fail", queue="unreadable", arguments="{}", max_attempts=2)
        enqueue_runs(app, [run])
        take_attempt(app, run.id, 1, "succeeded")
        take_attempt(app, run.id, 3, "succeeded")

        with started(app, "unreadable"):
            wait_for(lambda: every(app)[0].state is RunState.DEAD, "the run dead")

        with app.database.read() as connection:
            stored = {one.attempt: one.outcome for one in list_attempts(connection, run.id)}
        assert stored == {1: "succeeded", 2: "failed", 3: "succeeded", 4: "failed"}
        assert every(app)[0].cause == "exhausted"

    def test_a_lost_run_beside_an_unreadable_one_is_rescued(self, app):
        # K.6
        runs = runs_of(3)
        enqueue_runs(app, runs)
        with app.database.write() as connection:
            claim_due(
                connection,
                "unreadable",
                count=3,
                kinds=["unreadable.Note"],
                worker="gone",
                lease=timedelta(seconds=-60),
            )
        take_attempt(app, runs[1].id, 1, "abandoned")

        moved, _ = rescue_abandoned(app, reach=Reach(app.clock, lease=app.settings.lease))

        assert moved == 3
        assert {run.state for run in every(app)} == {RunState.QUEUED}
        with app.database.read() as connection:
            assert [one.attempt for one in list_attempts(connection, runs[1].id)] == [1, 2]
