"""benchmarks/peers/body.py: counts what all threads and processes have executed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers import body

ROOT = Path(__file__).resolve().parents[3]
PERFORM = """
import os, sys, threading
from benchmarks.peers import body
def perform():
    for number in range(500):
        body.noop(number, "x")
threads = [threading.Thread(target=perform) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
perform()
if os.fork() == 0:
    perform()
    os._exit(0)
os.wait()
body.late(0.0)
"""


def test_jobs_of_threads_and_of_a_forked_process_are_counted_once(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_FOLDER": str(tmp_path)}
    subprocess.run([sys.executable, "-c", PERFORM], env=env, check=True)

    found = body.executed(tmp_path)

    assert found is not None
    assert found.jobs == 3_000
    assert found.first < found.last
    assert len(body.latencies(tmp_path)) == 1


@pytest.mark.parametrize("content", [b"", b"\0" * 4096])
def test_a_process_without_counts_is_no_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.count").write_bytes(content)

    assert body.executed(tmp_path) is None
    assert body.latencies(tmp_path) == []
