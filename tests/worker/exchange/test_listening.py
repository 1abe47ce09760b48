"""An idle worker on PostgreSQL without Redis: woken by NOTIFY, and not by asking all the time."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from jobs import boot
from jobs.client.job import Job
from jobs.database.models import JobRun
from jobs.database.sql import ledger_now
from tests.round_trips import count_round_trips
from worker.exchange.source import LedgerSource
from worker.exchange.wakeups import ListeningWakeup


class ListenedNote(Job, queue="heard"):
    def perform(self) -> None:
        pass


@pytest.fixture
def app(pg_database, make_app, monkeypatch):
    made = make_app(pg_database)
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def source(app, monkeypatch):
    # No poll: what is not noticed would be claimed by nobody.
    monkeypatch.setattr(ListeningWakeup, "POLL_SECONDS", 600.0)
    own = app.database.own_connection(listens=True)
    wakeup = ListeningWakeup(app, own)
    source = LedgerSource(app, queues=["heard", "also"], kinds=["ListenedNote"], worker="w", wakeup=wakeup, own=own)
    with closing(source):
        yield source


def first_claim(source, *, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if claims := source.claim(1, wait_seconds=0.2):
            return claims[0].run_id
    return None


def test_an_enqueue_wakes_an_idle_worker(source):
    first_claim(source, seconds=1)
    sent = []

    def send():
        sent.append(ListenedNote().enqueue().id)

    timer = threading.Timer(0.5, send)
    timer.start()
    run_id = first_claim(source, seconds=60)
    timer.join()

    assert run_id == sent[0]


def test_an_idle_worker_polls_seldom(source, monkeypatch):
    monkeypatch.setattr(ListeningWakeup, "POLL_SECONDS", 5.0)
    first_claim(source, seconds=1)
    trips = count_round_trips(monkeypatch)

    first_claim(source, seconds=6)

    assert len(trips) <= 4


def test_an_idle_worker_claims_in_one_round_trip_and_looks_no_second_time(source, app, monkeypatch):
    for _ in range(3):
        assert source.claim(8, wait_seconds=0.1) == []
    # In one transaction: the server sends notifications of two in its own time, and the later one may follow the claim.
    with Session(app.database.engine) as session, session.begin():
        sent = [ListenedNote().enqueue(queue=queue, session=session).id for queue in ("also", "heard")]
    trips = count_round_trips(monkeypatch)

    claims = source.claim(8, wait_seconds=5)

    assert [one.run_id for one in claims] == sent[::-1]
    assert len(trips) == 1
    assert source.claim(8, wait_seconds=0.1) == []
    assert source.claim(8, wait_seconds=0.1) == []
    assert len(trips) == 2  # The other one asks when the next run is due.


def test_a_run_that_becomes_due_right_after_a_claim_is_claimed(source, app):
    began = time.monotonic()
    later = ListenedNote().enqueue(delay=timedelta(seconds=0.3)).id
    claims = []
    while not claims and time.monotonic() - began < 0.25:
        claims = source.claim(8, wait_seconds=0.0)  # It looks once for the enqueue, and then knows when to look again.

    assert (claims[0].run_id if claims else first_claim(source, seconds=60)) == later


def test_a_run_that_became_due_between_a_claim_and_the_question_for_the_next_one_is_claimed(source, app, monkeypatch):
    later = ListenedNote().enqueue(delay=timedelta(hours=1)).id
    for _ in range(3):
        assert source.claim(8, wait_seconds=0.0) == []
    source._knows_due = False  # as right after a claim

    def dawdle(seconds):
        with app.database.write() as connection:
            connection.execute(update(JobRun).where(JobRun.id == later).values(run_at=ledger_now()), {"now": None})
        return False

    monkeypatch.setattr(source._wakeup, "wait_for_change", dawdle)

    assert [one.run_id for one in source.claim(8, wait_seconds=0.01)] == [later]


def test_a_worker_that_cannot_listen_polls(make_app, pg_database, monkeypatch):
    app = make_app(pg_database, notify=False)

    assert app.database.listener() is None
    assert not app.database.own_connection(listens=True).listens
