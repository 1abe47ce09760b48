"""A SQLite file that turns of a write queue protect."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.jobs.database.sqlite.write_queue.turns import wait_until, waiting_threads


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, x TEXT)")
    connection.close()
    return path


@pytest.fixture(autouse=True)
def nobody_waits() -> None:
    """A wait that another test gave up may go on for a moment."""
    wait_until(lambda: not waiting_threads())
