"""A Database that is closed, and used again."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from jobs.database import Database
from jobs.settings import Settings
from tests.open_files import needs_proc, opened_in


@needs_proc
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
