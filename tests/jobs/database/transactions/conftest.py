"""Every kind of ``session=`` on a ledger of each dialect."""

from __future__ import annotations

import pytest

from jobs import boot
from tests.jobs.database.transactions.kinds import KINDS

CASES = [(dialect, kind) for dialect, kinds in KINDS.items() for kind in kinds]


@pytest.fixture(params=CASES, ids=[f"{dialect}-{kind.__name__}" for dialect, kind in CASES])
def case(request, make_app, monkeypatch):
    """A current App on a ledger of one dialect, its URL, and a kind of transaction there."""
    dialect, kind = request.param
    url = request.getfixturevalue("sqlite_url" if dialect == "sqlite" else "pg_database")
    app = make_app(url)
    monkeypatch.setattr(boot, "_app", app)
    return app, url, kind


@pytest.fixture
def pg_app(make_app, pg_database, monkeypatch):
    """The current App, on PostgreSQL."""
    app = make_app(pg_database)
    monkeypatch.setattr(boot, "_app", app)
    return app


@pytest.fixture
def sqlite_app(make_app, sqlite_url, monkeypatch):
    """The current App, on SQLite."""
    app = make_app(sqlite_url)
    monkeypatch.setattr(boot, "_app", app)
    return app
