"""A ledger on PostgreSQL, and a book whose runs have ended long enough ago to move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs import boot
from jobs.app import App
from tests.book import Book


@pytest.fixture
def app(pg_database: str, make_app: Callable[..., App], monkeypatch: pytest.MonkeyPatch) -> App:
    made = make_app(pg_database, retain_dead="never")
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def book(app: App) -> Book:
    """A book whose now is an hour ago: what ends in it may move."""
    return Book(app.database, now=datetime.now(UTC) - timedelta(hours=1))


@pytest.fixture(autouse=True)
def no_connection_is_left(app: App) -> Iterator[None]:
    yield
    app.database.close()
