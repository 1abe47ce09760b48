from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.clock import SystemClock
from jobs.database.sqlite.change_watch import DataVersion


class HandClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.rng = random.Random(1)
        self.passed = 0.0
        self.naps: list[float] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.passed, UTC)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.passed += seconds


def test_a_quiet_ledger_is_polled_often_for_a_while_and_then_seldom() -> None:
    clock = HandClock()
    watch = DataVersion(lambda: 1, clock=clock)

    assert watch.wait_for_change(5) is False

    assert clock.passed == pytest.approx(5)
    assert clock.naps.count(0.005) in (500, 501)
    assert max(clock.naps) == 0.05
    assert len(clock.naps) < 555


def test_a_change_is_reported_once_and_only_work_makes_it_poll_often_again() -> None:
    clock = HandClock()
    watch = DataVersion(lambda: 2 if clock.passed > 3 else 1, clock=clock)

    assert watch.wait_for_change(10) is True
    assert 3 < clock.passed < 3.06
    clock.naps.clear()

    assert watch.wait_for_change(0.06) is False
    assert clock.naps[0] == 0.05
    clock.naps.clear()

    watch.record_activity()

    assert watch.wait_for_change(0.02) is False
    assert clock.naps[0] == 0.005


def test_with_no_time_to_wait_it_only_checks() -> None:
    clock = HandClock()
    version = [1]
    watch = DataVersion(lambda: version[0], clock=clock)

    assert watch.wait_for_change(0) is False
    version[0] = 5
    assert watch.wait_for_change(0) is True
    assert clock.naps == []


def test_a_commit_of_another_connection_to_a_real_file_is_seen(tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (x)")
    watcher = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    watch = DataVersion(lambda: int(watcher.execute("PRAGMA data_version").fetchone()[0]), clock=SystemClock())
    assert watch.wait_for_change(0) is False

    writer.execute("INSERT INTO t VALUES (1)")

    assert watch.wait_for_change(5) is True
    assert watch.wait_for_change(0) is False
    writer.close()
    watcher.close()
