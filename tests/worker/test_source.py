"""The contract of sources, on every one: the ledger of each dialect, heard of or polled, and by way of Redis."""

from __future__ import annotations

from contextlib import closing

import pytest

from jobs import boot
from tests.contract.source import KINDS, QUEUES, SourceContract
from worker.ready_source import ReadySource
from worker.source import LedgerSource, ListeningBell, PollingBell, SqliteBell


def current(app, monkeypatch):
    monkeypatch.setattr(boot, "_app", app)
    return app


def ledger_source(app, bell):
    return LedgerSource(app, queues=QUEUES, kinds=KINDS, worker="w", bell=bell)


class TestLedgerOnSqlite(SourceContract):
    @pytest.fixture
    def app(self, sqlite_url, make_app, monkeypatch):
        return current(make_app(sqlite_url), monkeypatch)

    @pytest.fixture
    def source(self, app):
        with closing(ledger_source(app, SqliteBell(app))) as source:
            yield source


class TestLedgerOnPostgresHeard(SourceContract):
    @pytest.fixture
    def app(self, pg_database, make_app, monkeypatch):
        return current(make_app(pg_database), monkeypatch)

    @pytest.fixture
    def source(self, app):
        with closing(ledger_source(app, ListeningBell(app, app.database.listener()))) as source:
            yield source


class TestLedgerOnPostgresPolled(SourceContract):
    @pytest.fixture
    def app(self, pg_database, make_app, monkeypatch):
        return current(make_app(pg_database, pgbouncer=True), monkeypatch)

    @pytest.fixture
    def source(self, app):
        with closing(ledger_source(app, PollingBell(app))) as source:
            yield source


class TestRedis(SourceContract):
    @pytest.fixture
    def app(self, pg_database, redis_url, make_app, monkeypatch):
        app = current(make_app(pg_database, redis_url=redis_url), monkeypatch)
        app.ready.mark_intact()
        return app

    @pytest.fixture
    def source(self, app):
        ledger = ledger_source(app, PollingBell(app))
        with closing(ReadySource(app, app.ready, ledger, kinds=KINDS, worker="w", on_loss=lambda: None)) as source:
            yield source
