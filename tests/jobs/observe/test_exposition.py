"""Counts of many processes on one page: dead ones' stay, none goes back, no name makes series without end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import jobs
from jobs.definition import registry
from jobs.events import ResultRefused, RunEnqueued
from jobs.observe import catalogue
from jobs.observe.counts import Counts
from jobs.observe.exposition import CountsFolder
from jobs.observe.metrics import OTHER, Meter
from jobs.states import Outcome
from tests.worker_process import ROOT, parse, total

ONE_ATTEMPT = ("mail", "Send", "succeeded")

COUNT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from jobs.observe import catalogue
from jobs.observe.counts import Counts
counts = Counts(Path(sys.argv[1]), buckets=(0.1, 1))
counts.add(catalogue.ATTEMPTS, ("mail", "Send", "succeeded"), 5)
counts.observe(catalogue.RUN, ("mail", "Send"), [0.05, 0.5, 5])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder() -> Iterator[CountsFolder]:
    made = CountsFolder()
    yield made
    made.close()


def _count_and_die(folder: CountsFolder) -> None:
    subprocess.run([sys.executable, "-c", COUNT_AND_DIE, str(folder.path)], env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_counts_of_a_killed_process_stay_and_its_files_are_deleted(folder: CountsFolder) -> None:
    counts = Counts(folder.path, buckets=(0.1, 1))
    counts.add(catalogue.ATTEMPTS, ONE_ATTEMPT, 2)
    for _ in range(3):
        _count_and_die(folder)

    for _ in range(2):
        series = parse(folder.page().decode())
        assert total(series, "jobs_attempts_total") == 17
        assert total(series, "jobs_run_seconds_count") == 9
        assert total(series, "jobs_run_seconds_sum") == pytest.approx(3 * 5.55)
        assert total(series, "jobs_run_seconds_bucket", le="0.1") == 3
        assert total(series, "jobs_run_seconds_bucket", le="1.0") == 6
        assert total(series, "jobs_run_seconds_bucket", le="+Inf") == 9
    assert len(list(folder.path.glob("*_folded.db"))) == 2
    assert len(list(folder.path.glob("*.db"))) == 4


def test_files_are_merged_without_a_scrape(folder: CountsFolder) -> None:
    _count_and_die(folder)

    folder.merge_dead_files()

    assert len(list(folder.path.glob("*_*-*.db"))) == 0


def test_kinds_and_queues_that_nobody_defined_share_one_series(folder: CountsFolder) -> None:
    meter = Meter(Counts(folder.path, buckets=catalogue.BUCKETS))

    for _ in range(20):
        meter.count_enqueued([RunEnqueued(uuid4(), uuid4().hex, uuid4().hex) for _ in range(50)])
        meter.count_refused([ResultRefused(uuid4(), uuid4().hex, 1, Outcome.SUCCEEDED)])

    series = parse(folder.page().decode())
    kinds = {dict(labels)["kind"] for (name, labels) in series if "kind" in dict(labels)}
    queues = {dict(labels)["queue"] for (name, labels) in series if "queue" in dict(labels)}
    assert kinds == {"unknown"}
    assert queues == {OTHER}
    assert total(series, "jobs_enqueued_total") == 1000


def test_series_of_known_kinds_begin_at_zero(folder: CountsFolder) -> None:
    class Sleepy(jobs.Job, queue="night"):
        def perform(self) -> None: ...

    try:
        Meter(Counts(folder.path, buckets=catalogue.BUCKETS)).begin_at_zero(["Sleepy"])
        series = parse(folder.page().decode())
    finally:
        registry.forget("Sleepy")

    failed = ("jobs_attempts_total", (("kind", "Sleepy"), ("outcome", "failed"), ("queue", "night")))
    assert series[failed] == 0
    assert series["jobs_run_seconds_count", (("kind", "Sleepy"), ("queue", "night"))] == 0


def test_the_folder_is_private_and_gone_when_closed(folder: CountsFolder) -> None:
    assert folder.path.stat().st_mode & 0o777 == 0o700

    other = CountsFolder()
    other.close()

    assert not other.path.exists()
    assert folder.path.exists()


def test_a_folder_in_use_is_left_alone_and_one_left_behind_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    used = CountsFolder()
    left = tmp_path / "jobs-metrics-left"
    left.mkdir(0o700)
    for one in (used.path, left):
        os.utime(one, (1, 1))

    CountsFolder().close()

    assert used.path.exists()
    assert not left.exists()
    used.close()
