"""Makes the tables of a ledger: on SQLite once a test process, and each further ledger is a copy of that file."""

from __future__ import annotations

import shutil
from pathlib import Path

from jobs.database.engine import Database
from jobs.migration import schema
from jobs.settings import Settings
from jobs.testing.template import template


def migrate(url: str) -> None:
    """Make the tables in the database at ``url``; leaves no connection behind."""
    database = Database(url, Settings(database_url=url))
    schema.upgrade(database)
    database.close()


def sqlite_template() -> Path:
    """A SQLite file that is migrated and empty, and that nobody is connected to: that of ``jobs.testing``."""
    return template()


def sqlite_ledger(path: Path) -> str:
    """The URL of a new SQLite ledger at ``path``, migrated and empty."""
    return f"sqlite:///{shutil.copy(sqlite_template(), path)}"
