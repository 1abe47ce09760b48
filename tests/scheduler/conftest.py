"""A migrated ledger on each dialect, with a clock that the test moves."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs import boot
from jobs.app import App

ROOT = Path(__file__).resolve().parents[2]


class MovedClock:
    """The machine's clock, ``ahead`` of the truth by as much as a test says."""

    def __init__(self) -> None:
        self.rng = random.Random(1)
        self.ahead = timedelta(0)
        self.elapsed = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        self.elapsed += 0.001
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def app(ledger_url: str, make_app: Callable[..., App], clock: MovedClock, monkeypatch: pytest.MonkeyPatch) -> App:
    """An App whose clock, and on SQLite the ledger's, is the test's."""
    made = make_app(ledger_url, clock=clock)
    monkeypatch.setattr(boot, "_app", made)
    return made


@pytest.fixture
def spawn(ledger_url: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """``spawn("scheduler", "--import", "shop")``: the program, in a folder of the test's own; killed at its end."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    environment |= {"JOBS_DATABASE_URL": ledger_url, "PYTHONPATH": str(ROOT), "JOBS_LOG_LEVEL": "warning"}

    def start(*args: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "scheduler.log").open("ab") as log:
            command = [sys.executable, "-m", "admin_cli.main", *args]
            child = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
            child.wait()
