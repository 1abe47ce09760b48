"""Makes the tables of a ledger: on SQLite once a test process, and each further ledger is a copy of that file."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from jobs.database.engine import Database
from jobs.migration import schema
from jobs.settings import Settings


def migrate(url: str) -> None:
    """Make the tables in the database at ``url``; leaves no connection behind."""
    database = Database(url, Settings(database_url=url))
    schema.upgrade(database)
    database.close()


@cache
def sqlite_template() -> Path:
    """A SQLite file that is migrated and empty, and that nobody is connected to."""
    folder = Path(tempfile.mkdtemp(prefix="jobs-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate(f"sqlite:///{folder / 'template.db'}")
    return folder / "template.db"


def sqlite_ledger(path: Path) -> str:
    """The URL of a new SQLite ledger at ``path``, migrated and empty."""
    return f"sqlite:///{shutil.copy(sqlite_template(), path)}"
