"""`jobledger demo` as a newcomer runs it, also while its worker processes are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.database.engine import Database
from jobs.ledger.queries.find import list_attempts, list_runs
from jobs.ledger.queries.reports import count_by_state
from jobs.ledger.workers import live
from jobs.migration import schema
from jobs.operations.audit.operator import Operator
from jobs.operations.control.pause import pause, resume
from jobs.settings import Settings
from jobs.states import Outcome, RunState
from tests.conftest import MakeApp
from tests.fork_server import jobledger
from tests.templates import sqlite_ledger
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
INVENTORY = "demo.InspectFile"
ODD = 2 if sys.platform == "linux" else 1
"""Files whose names are unusual."""


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [*jobledger(), "demo", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=(arguments and Path(arguments[0]).parent) or None, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three hundred files of many sizes; some are not text."""
    files = tmp_path / "files"
    for number in range(300):
        path = files / f"part{number % 7}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((b"line %d\n" % number) * (number * 31 % 997) + (b"\0" if number % 50 == 0 else b""))
    (files / "a\nline").write_text("its name has two")
    if sys.platform == "linux":
        Path(os.fsdecode(bytes(files) + b"/no text \xff%41.txt")).write_text("nor has its name one")
    (files / "away").symlink_to("nowhere")
    os.mkfifo(files / "waits")
    return files


def open_ledger(path: Path) -> Database:
    return Database(f"sqlite:///{path}", Settings.read())


def is_ready(path: Path) -> bool:
    if not path.exists():
        return False
    database = open_ledger(path)
    try:
        return schema.current(database) == schema.REVISION
    finally:
        database.close()


def test_the_demo_checks_its_ledger_and_names_commands_to_try_next(folder: Path, tmp_path: Path) -> None:
    demo = start(str(folder), "--keep", str(tmp_path / "demo.db"))
    out, err = demo.communicate(timeout=100)

    assert demo.returncode == 0, err
    assert f"{303 + ODD}: 1 dead, {302 + ODD} succeeded" in out
    assert "the ledger adds up" in out
    assert "show " in out

    # The next demo finds a ledger whose counts are wrong.
    (folder / "part0" / "0.txt").write_text("changed")
    demo = start(str(folder), "--keep", str(tmp_path / "demo.db"))
    _, err = demo.communicate(timeout=100)

    assert demo.returncode == 1
    assert "part0/0.txt: the ledger says" in err


def test_killing_workers_during_the_demo_leaves_one_success_per_file_and_records_every_attempt(
    folder: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "demo.db"
    demo = start(str(folder), "--keep", str(ledger))
    assert wait_until(lambda: is_ready(ledger), seconds=60)
    database = open_ledger(ledger)

    killed = 0

    def is_over() -> bool:
        """Whether the demo has ended, or has lost enough workers; kills one after each forty files."""
        nonlocal killed
        with database.read() as connection:
            workers, counts = live(connection), count_by_state(connection, kind=INVENTORY)
        if workers and counts.get(RunState.SUCCEEDED, 0) > killed * 40:
            try:
                os.kill(workers[0].pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        return demo.poll() is not None or killed == 6

    assert wait_until(is_over, seconds=100)
    out, err = demo.communicate(timeout=100)

    assert demo.returncode == 0, (out, err)
    assert killed > 0
    with database.read() as connection:
        runs = list_runs(connection, kind=INVENTORY, limit=1000)
        assert len(runs) == 300 + ODD
        for run in runs:
            attempts = list_attempts(connection, run.id)
            assert [one.attempt for one in attempts] == list(range(1, run.attempt + 1))
            assert [one.outcome for one in attempts].count(Outcome.SUCCEEDED) == 1
            assert attempts[-1].outcome is Outcome.SUCCEEDED
    database.close()


def test_a_second_demo_continues_with_the_ledger_after_ctrl_c(folder: Path, tmp_path: Path, make_app: MakeApp) -> None:
    ledger = tmp_path / "demo.db"
    app, ada = make_app(sqlite_ledger(ledger)), Operator("ada")
    # Otherwise the first demo may be done before it is interrupted.
    pause(app, ada, "kind", "demo.DueLater", is_new=True)
    demo = start(str(folder), "--keep", str(ledger))
    database = open_ledger(ledger)

    def has_begun() -> bool:
        with database.read() as connection:
            return demo.poll() is not None or count_by_state(connection).get(RunState.SUCCEEDED, 0) > 0

    assert wait_until(has_begun, seconds=60)
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=100)

    assert demo.returncode == 130, err
    assert f"continue with: jobledger demo --keep {ledger}" in err
    with database.read() as connection:
        assert live(connection) == []
        counts = count_by_state(connection)
    assert sum(counts.values()) == 303 + ODD
    assert counts.get(RunState.SUCCEEDED, 0) < 302 + ODD
    resume(app, ada, "kind", "demo.DueLater")

    out, err = start(str(folder), "--keep", str(ledger)).communicate(timeout=100)
    assert f"{303 + ODD}: 1 dead, {302 + ODD} succeeded" in out, err
    assert "the ledger adds up" in out
    database.close()
