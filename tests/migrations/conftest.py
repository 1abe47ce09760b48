"""Databases without a table, on each dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.app import App
from jobs.database.engine import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(
    request: pytest.FixtureRequest, tmp_path: Path, make_app: Callable[..., App]
) -> Iterator[Callable[[], Database]]:
    """Makes databases without a table."""
    made: list[Any] = []

    def make() -> Database:
        if request.param == "sqlite":
            made.append(f"sqlite:///{tmp_path / f'{len(made)}.db'}")
            return make_app(made[-1]).database
        server = request.getfixturevalue("pg_server")
        server.start()
        made.append(server.create_database())
        return make_app(made[-1]).database

    yield make
    if request.param == "postgresql":
        for url in made:
            request.getfixturevalue("pg_server").drop_database(url)
