"""Stored values: 200 MB through enqueue, retry and replay in little memory, and processes killed at each point."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from jobs.database.models import JobBlob, JobBlobChunk
from jobs.runtime.fault_points import STORED_POINTS
from jobs.states import RunState
from jobs.storage.collector import collect_values
from jobs.testing import Ledger
from tests.faults import storing
from tests.faults.fleet import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(500)]


def storing_process(*given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.storing", *given]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_a_document_of_200_mb_takes_less_than_64_mb_of_memory(ledger_url: str, tmp_path: Path) -> None:
    path, digest = tmp_path / "document", hashlib.sha256()
    with path.open("wb") as file:
        for n in range(200):
            part = bytes([n]) * 2**20
            digest.update(part)
            file.write(part)

    process = storing_process(ledger_url, "memory", str(path))

    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    print(found)
    assert found["outcomes"] == ["failed", "succeeded", "failed", "succeeded"]
    assert found["results"] == [digest.hexdigest()]
    assert found["grown_mb"] <= 64


@pytest.mark.parametrize("point", STORED_POINTS)
def test_a_process_killed_at_any_point_leaves_each_run_its_value(ledger_url: str, point: str) -> None:
    process = storing_process(ledger_url, "kill", point)
    assert process.returncode == -9, process.stderr

    with Ledger(ledger_url) as ledger:
        ledger.advance(timedelta(days=3))
        while collect_values(ledger.app).has_more:
            pass
        with ledger.app.database.read() as connection:
            runs = len(ledger.runs(storing.StoredDocument))
            assert connection.scalar(select(func.count()).select_from(JobBlob)) == runs
            assert connection.scalar(select(func.count()).select_from(JobBlobChunk)) == 3 * runs
        assert all(one.run.state is RunState.SUCCEEDED for one in ledger.drain())
        assert runs == (2 if point in ("stored:removed", "stored:deleted") else 1)
