"""What Windows lacks is no reason not to enqueue there, and what it cannot do is said in words. K2.16"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LACKS = {
    "os": "register_at_fork fork memfd_create getuid geteuid getgid fchown fchmod killpg setsid nice WNOHANG",
    "signal": (
        "SIGKILL SIGALRM SIGHUP SIGUSR1 SIGUSR2 SIGCHLD SIGSTOP SIGCONT SIGQUIT SIGPROF SIGVTALRM SIGPIPE alarm"
        " setitimer getitimer ITIMER_REAL ITIMER_VIRTUAL ITIMER_PROF pthread_sigmask pthread_kill sigwait"
    ),
    "socket": "send_fds recv_fds AF_UNIX",
    "select": "poll",
}
BEGIN = f"""
# Whatever is not ours is imported first, as it is: it has its own ways on Windows.
import alembic.command, asyncio, click, importlib.abc, logging.handlers, multiprocessing, pydantic, rich.console
import psycopg, select, shutil, signal, socket, socketserver, sqlalchemy.dialects.sqlite, sqlalchemy.orm, sqlite3, ssl
import subprocess, structlog, sys, tempfile, zoneinfo

import os

for module, names in {LACKS!r}.items():
    for name in names.split():
        delattr(sys.modules[module], name)

class Lacks(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Lacks())
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"):
    sys.modules.pop(name, None)
sys.platform = "win32"
"""


def run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    return subprocess.run(
        [sys.executable, "-c", BEGIN + script, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_application_enqueues_and_looks_where_there_is_no_fork(ledger_url: str, tmp_path: Path) -> None:
    ended = run(
        f"""
import jobs

class Note(jobs.Job):
    n: int
    def perform(self): pass

jobs.configure(database_url={ledger_url!r})
made = Note(n=1).enqueue()
jobs.enqueue_many([Note(n=2), Note(n=3)])
print(jobs.find(made.id).state)
""",
        tmp_path,
    )

    assert ended.stdout == "queued\n", ended.stderr


def test_the_command_line_operates_there_and_says_that_workers_run_elsewhere(sqlite_url: str, tmp_path: Path) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        script = "from admin_cli.main import main\nmain()\n"
        return run(script, tmp_path, "--database-url", sqlite_url, *words)

    assert command("list", "-o", "json").returncode == 0
    assert "--timeout needs a system with alarms" in command("--timeout", "10s", "list").stderr
    for words in (["worker", "--import", "json"], ["dev", "--import", "json"]):
        refused = command(*words)
        assert "Workers need a system that can fork" in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_name_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    script = """
import sys, types

sys.modules["jobs.definition.retry"] = types.ModuleType("jobs.definition.retry")
try:
    from jobs import Retry
except ImportError as error:
    print(error)
import jobs
print(hasattr(jobs, "Nothing"))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60)

    why = "jobs.Retry cannot be loaded: module 'jobs.definition.retry' has no attribute 'Retry'"
    assert ended.stdout == f"{why}\nFalse\n", ended.stderr
