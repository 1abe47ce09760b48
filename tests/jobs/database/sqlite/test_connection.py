"""How a program's connections to SQLite are prepared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sqlite3, sys
from jobs.clock import SystemClock
from jobs.database.sqlite.connection import prepare
connection = sqlite3.connect(sys.argv[1])
prepare(connection, SystemClock())
print(*(connection.execute(f"PRAGMA {one}").fetchone()[0] for one in ("journal_mode", "synchronous")))
"""


def test_a_commit_of_a_program_waits_for_the_disk(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "jobs.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert said.stdout.split() == ["wal", "2"]  # 2 is FULL.
