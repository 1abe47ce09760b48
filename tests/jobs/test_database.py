"""A Database that is closed, and used again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from jobs.database import Database
from jobs.settings import Settings


def opened_in(folder: Path) -> list[str]:
    """The files of ``folder`` that this process has open, by path."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        # The descriptor of the listing itself is gone when it is looked at.
        if one.is_symlink() and (place := os.readlink(one)).startswith(str(folder)):
            found.append(place)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_a_closed_sqlite_database_has_no_file_open_and_opens_again(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url, Settings(database_url=sqlite_url))
    for urgent in (False, True):
        with database.write(urgent=urgent) as connection:
            connection.execute(text("UPDATE job_runs SET priority = 1"))
    assert len(opened_in(tmp_path)) > 3

    database.close()

    assert opened_in(tmp_path) == []
    with database.write() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    database.close()
