"""Databases without a table, and with those of a ledger, on each dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.app import App
from jobs.database.engine import Database
from tests.templates import sqlite_ledger

MakeDatabase = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def empty(
    dialect: str, request: pytest.FixtureRequest, tmp_path: Path, make_app: Callable[..., App]
) -> Iterator[MakeDatabase]:
    """Makes databases without a table."""
    made: list[str] = []

    def make() -> Database:
        if dialect == "sqlite":
            made.append(f"sqlite:///{tmp_path / f'{len(made)}.db'}")
        else:
            server = request.getfixturevalue("pg_server")
            server.start()
            made.append(server.create_database())
        return make_app(made[-1]).database

    yield make
    if dialect == "postgresql":
        for url in made:
            request.getfixturevalue("pg_server").drop_database(url)


@pytest.fixture
def migrated(dialect: str, request: pytest.FixtureRequest, tmp_path: Path, make_app: Callable[..., App]) -> Database:
    """A database that was migrated up; a copy, since the migrations take seconds of processor time."""
    if dialect == "sqlite":
        return make_app(sqlite_ledger(tmp_path / "migrated.db")).database
    return make_app(request.getfixturevalue("pg_database")).database
