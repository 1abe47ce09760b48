"""Cleanup after a dead process: what it took from the ready index and did not claim is there again at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import boot
from jobs.app import App
from jobs.client.job import Job
from tests.conftest import MakeApp
from worker.process.dead_process_cleanup import clean_up
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
