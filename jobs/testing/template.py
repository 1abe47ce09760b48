"""An empty, migrated ledger that tests copy: migrating one for each test would take longer than most tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

from jobs.database.engine import Database
from jobs.migration import schema
from jobs.settings import Settings

_made: tempfile.TemporaryDirectory[str] | None = None


def template() -> Path:
    """An empty, migrated SQLite ledger, made once per process."""
    global _made
    if _made is None:
        _made = tempfile.TemporaryDirectory(prefix="jobs-testing-")
        url = f"sqlite:///{_made.name}/template.db"
        database = Database(url, Settings.of(database_url=url))
        schema.upgrade(database)
        database.close()
    return Path(_made.name) / "template.db"
