"""The verbs are tested on each dialect, over a book whose time the test steps.

One database a dialect serves all of them, emptied for each: a database of its own would take most of a test's time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from jobs import boot
from jobs.app import App
from jobs.database.engine import Database
from jobs.settings import Settings
from tests.book import Book
from tests.databases import Databases
from tests.templates import sqlite_ledger


@pytest.fixture(scope="session")
def shared_app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], App]]:
    made: dict[str, App] = {}

    def app_on(dialect: str) -> App:
        if dialect not in made:
            if dialect == "sqlite":
                url = sqlite_ledger(tmp_path_factory.mktemp("shared") / "jobs.db")
            else:
                server: Databases = request.getfixturevalue("pg_server")
                url = server.create_database(template=request.getfixturevalue("migrated_template"))
            made[dialect] = boot.build(Settings(database_url=url))
        return made[dialect]

    yield app_on
    for app in made.values():
        app.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, shared_app: Callable[[str], App]) -> App:
    app = shared_app(request.param)
    Book(app.database).wipe()
    return app


@pytest.fixture
def book(database: Database) -> Book:
    return Book(database)
