"""``import jobs`` loads no optional package, opens nothing and starts no thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ABSENT = {"sqlalchemy", "dramatiq", "redis", "psycopg", "click", "sentry_sdk", "alembic"}
CODE = """
import os, sys, threading

def count_open_files():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

before = count_open_files()
import jobs
print(count_open_files() - before, threading.active_count() - 1, *sys.modules)
"""


def test_importing_jobs_loads_no_optional_package_opens_nothing_and_starts_no_thread(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    opened, started, *loaded = done.stdout.split()
    assert ABSENT.isdisjoint(loaded), ABSENT.intersection(loaded)
    assert int(opened) <= 0
    assert int(started) == 0
    assert list(tmp_path.iterdir()) == []
