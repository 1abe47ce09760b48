"""The contract of every source: the ledger of each dialect, notified or polled, and the ready index."""

from __future__ import annotations

from collections import Counter
from contextlib import closing

import pytest

from jobs import boot, enqueue_many
from jobs.formats.queue_weights import read_served
from tests.contract.source import KINDS, QUEUES, Known, SourceContract
from worker.exchange.queue_turns import Turns
from worker.exchange.ready_source import ReadySource
from worker.exchange.source import LedgerSource
from worker.exchange.wakeups import ListeningWakeup, PollingWakeup, SqliteWakeup


def current(app, monkeypatch):
    monkeypatch.setattr(boot, "_app", app)
    return app


def ledger_source(app, wakeup):
    return LedgerSource(app, queues=QUEUES, kinds=KINDS, worker="w", wakeup=wakeup)


class TestLedgerOnSqlite(SourceContract):
    @pytest.fixture
    def app(self, sqlite_url, make_app, monkeypatch):
        return current(make_app(sqlite_url), monkeypatch)

    @pytest.fixture
    def source(self, app):
        with closing(ledger_source(app, SqliteWakeup(app))) as source:
            yield source


class TestLedgerOnPostgresHeard(SourceContract):
    @pytest.fixture
    def app(self, pg_database, make_app, monkeypatch):
        return current(make_app(pg_database), monkeypatch)

    @pytest.fixture
    def source(self, app):
        with closing(ledger_source(app, ListeningWakeup(app, app.database.listener()))) as source:
            yield source


class TestLedgerOnPostgresPolled(SourceContract):
    @pytest.fixture
    def app(self, pg_database, make_app, monkeypatch):
        return current(make_app(pg_database, pgbouncer=True), monkeypatch)

    @pytest.fixture
    def source(self, app):
        with closing(ledger_source(app, PollingWakeup(app))) as source:
            yield source


class TestRedis(SourceContract):
    @pytest.fixture
    def app(self, pg_database, redis_url, make_app, monkeypatch):
        app = current(make_app(pg_database, redis_url=redis_url), monkeypatch)
        app.ready.mark_intact()
        return app

    @pytest.fixture
    def source(self, app):
        ledger = ledger_source(app, PollingWakeup(app))
        with closing(ReadySource(app, app.ready, ledger, kinds=KINDS, worker="w", on_loss=lambda: None)) as source:
            yield source


@pytest.mark.parametrize("way", ["sqlite", "postgres", "redis"])
def test_queues_with_weights_share_the_claims_and_one_that_is_empty_leaves_them_to_the_other(
    way, request, make_app, monkeypatch
):  # K2.17
    url = request.getfixturevalue("sqlite_url" if way == "sqlite" else "pg_database")
    redis_url = request.getfixturevalue("redis_url") if way == "redis" else None
    app = current(make_app(url, redis_url=redis_url), monkeypatch)
    turns = Turns(read_served(["first:3", "second:1"]))
    ledger = LedgerSource(app, queues=QUEUES, kinds=KINDS, worker="w", wakeup=PollingWakeup(app), turns=turns)
    if way == "redis":
        app.ready.mark_intact()
    source = (
        ledger if way != "redis" else ReadySource(app, app.ready, ledger, kinds=KINDS, worker="w", on_loss=lambda: None)
    )
    enqueue_many([Known() for _ in range(60)])
    for _ in range(40):
        Known().enqueue(queue="second")

    with closing(source):
        both = Counter(one.queue for turn in range(20) for one in source.claim(1 + turn % 3, wait_seconds=0.2))
        rest = Counter(one.queue for _ in range(30) for one in source.claim(4, wait_seconds=0.2))

    assert both["first"] == pytest.approx(3 * both["second"], abs=3)
    assert both + rest == {"first": 60, "second": 40}
