"""Cleanup after a dead process: what it took from the ready index and did not claim is there again at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs import boot
from jobs.app import App
from jobs.client.job import Job
from jobs.database.models import JobRun
from jobs.ledger.runs.claim import claim
from jobs.states import RunState
from tests.book import LEASE
from tests.conftest import MakeApp
from worker.process import dead_process_cleanup
from worker.process.dead_process_cleanup import DeadProcessCleanup, clean_up
from worker.protocol.assignment import DeadProcess


class TakenByTheDead(Job, queue="dead_takes"):
    def perform(self) -> None: ...


@pytest.fixture
def app(pg_database: str, redis_url: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    made = make_app(pg_database, redis_url=redis_url, overdue_after=timedelta(hours=1))
    monkeypatch.setattr(boot, "_app", made)
    assert made.ready is not None
    made.ready.mark_intact()
    return made


def test_ids_that_a_dead_process_took_and_did_not_claim_are_in_the_index_again(app: App) -> None:
    assert app.ready is not None
    lost = TakenByTheDead().enqueue().id
    TakenByTheDead().enqueue(delay=timedelta(hours=1))
    assert [run_id for run_id, _ in app.ready.take(["dead_takes"], 5, wait_seconds=0).runs] == [lost]

    cleaned_up = clean_up(app, [DeadProcess("host/1/0.1-00000000", (), (), "signal 9")])

    assert cleaned_up == ["host/1/0.1-00000000"]
    assert [run_id for run_id, _ in app.ready.take(["dead_takes"], 5, wait_seconds=0).runs] == [lost]


def test_a_run_that_is_due_soon_and_that_a_dead_process_did_not_add_is_in_the_index_again(app: App) -> None:
    """Such as a retry: the process had committed it, and died before it told the index."""
    assert app.ready is not None
    unannounced = TakenByTheDead().enqueue(delay=timedelta(seconds=1)).id
    app.ready.forget([(unannounced, "dead_takes")])

    clean_up(app, [DeadProcess("host/1/0.1-00000000", (), (), "signal 9")])

    assert [run_id for run_id, _ in app.ready.take(["dead_takes"], 5, wait_seconds=60).runs] == [unannounced]


NAME = "host/1/0.1-00000000"
DEAD = DeadProcess(NAME, (), (), "signal 9")


def claim_as_the_dead(app: App) -> None:
    run_id = TakenByTheDead().enqueue().id
    with app.database.write() as connection:
        assert claim(connection, [run_id], kinds=["TakenByTheDead"], worker=NAME, lease=LEASE)


def state(app: App) -> RunState:
    with app.database.read() as connection:
        return connection.execute(select(JobRun.state)).scalar_one()


def test_a_run_that_the_server_has_locked_for_a_dead_process_is_released_once_it_is_not(app: App) -> None:
    """The process settled it in a transaction that the server has not undone yet."""
    claim_as_the_dead(app)
    with app.database.write() as settling:
        settling.execute(select(JobRun.id).with_for_update())
        assert clean_up(app, [DEAD]) == []
    assert state(app) == RunState.RUNNING

    assert clean_up(app, [DEAD]) == [NAME]

    assert state(app) == RunState.QUEUED


@pytest.mark.parametrize("is_last", [False, True])
def test_a_claim_that_the_server_executes_after_the_cleanup_is_released_by_the_next_look(
    app: App, monkeypatch: pytest.MonkeyPatch, is_last: bool
) -> None:
    monkeypatch.setattr(dead_process_cleanup, "LOOK_AGAIN_SECONDS", 3600.0 if is_last else 0.0)
    cleanup = DeadProcessCleanup(app, [DEAD])
    assert cleanup.turn() == [], "it looks again"
    claim_as_the_dead(app)
    if is_last:
        assert cleanup.turn() == [], "it is too soon"

    assert cleanup.turn(is_last=is_last) == [NAME]

    assert state(app) == RunState.QUEUED
    assert not cleanup
