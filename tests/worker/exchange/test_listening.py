"""An idle worker on PostgreSQL without Redis: woken by NOTIFY, and not by asking all the time."""

from __future__ import annotations

import threading
import time

import pytest

from jobs import boot
from jobs.client.job import Job
from worker.exchange.source import LedgerSource, ListeningWakeup


class ListenedNote(Job, queue="heard"):
    def perform(self) -> None:
        pass


@pytest.fixture
def app(pg_database, make_app, monkeypatch):
    made = make_app(pg_database)
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def source(app):
    listener = app.database.listener()
    yield LedgerSource(app, queues=["heard"], kinds=["ListenedNote"], worker="w", wakeup=ListeningWakeup(app, listener))
    listener.close()


def first_claim(source, *, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if claims := source.claim(1, wait_seconds=0.2):
            return claims[0].run_id, time.monotonic()
    return None, time.monotonic()


def test_an_enqueue_wakes_an_idle_worker(source):
    first_claim(source, seconds=1)
    sent = []

    def send():
        enqueued = ListenedNote().enqueue()
        sent.append((enqueued.id, time.monotonic()))

    timer = threading.Timer(0.5, send)
    timer.start()
    run_id, claimed_at = first_claim(source, seconds=3)
    timer.join()

    assert run_id == sent[0][0]
    assert claimed_at - sent[0][1] < 1.0


def test_an_idle_worker_asks_seldom(source, app):
    from sqlalchemy import event

    first_claim(source, seconds=1)
    asked = []
    event.listen(app.database.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))

    first_claim(source, seconds=6)

    assert len(asked) <= 6


def test_a_worker_that_cannot_listen_polls(make_app, pg_database, monkeypatch):
    app = make_app(pg_database, notify=False)

    assert app.database.listener() is None
