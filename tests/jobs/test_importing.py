"""``import jobs`` loads no optional package, opens nothing and starts no thread; a declared job loads no database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

OPENED = """
import os, sys, threading
opened = []
folder = "/proc/self/fd"
before = os.listdir(folder) if os.path.isdir(folder) else []
def hear(event, arguments):
    if event in ("socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.fork"):
        opened.append(event)
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if "__pycache__" not in str(arguments[0]):
            opened.append(f"open {arguments[0]} {arguments[1]}")
sys.addaudithook(hear)
import jobs
optional = ["sqlalchemy", "redis", "dramatiq", "click", "rich", "sentry_sdk", "prometheus_client", "opentelemetry",
            "alembic", "psycopg", "aiosqlite", "worker", "scheduler", "admin_cli", "admin_api"]
after = os.listdir(folder) if os.path.isdir(folder) else []
print([name for name in optional if name in sys.modules], opened, threading.active_count(), len(after) - len(before))
"""


def test_importing_jobs_opens_nothing_starts_no_thread_and_imports_no_optional_package(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", OPENED],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (answer.stdout.strip(), answer.returncode) == ("[] [] 1 0", 0), answer.stderr
    assert list(tmp_path.iterdir()) == []


DECLARED = {
    "a job": """
from jobs import Job, Retry

class Ship(Job, retry=Retry(max_attempts=3)):
    order_id: int

    def perform(self) -> None: ...

Ship(order_id=7)
""",
    "an actor": """
import dramatiq
from jobs.dramatiq import LedgerBroker

dramatiq.set_broker(LedgerBroker())

@dramatiq.actor
def ship(order_id): ...

ship.message(7)
""",
}


@pytest.mark.parametrize("code", DECLARED.values(), ids=list(DECLARED))
def test_declaring_loads_no_database_code(code: str, tmp_path: Path) -> None:
    code += "import sys\nprint([one for one in ('sqlalchemy', 'psycopg', 'sqlite3', 'alembic') if one in sys.modules])"

    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert answer.stdout.strip() == "[]", answer.stderr
