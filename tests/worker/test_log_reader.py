"""K.10: a worker performs runs even if its log is not read, or if it has no stdout and no stderr."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.templates import sqlite_ledger
from tests.worker.live import ROOT, Live

pytestmark = pytest.mark.slow

NOWHERE = subprocess.DEVNULL
APP = """
import logging
class Chat(Job):
    def perform(self):
        for _ in range(20):
            logging.getLogger("theirs").info("x" * 300)

class Streams(Job):
    def perform(self):
        print("to nobody")
        import os
        return [os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)]

class ChatAlone(Chat, isolated=True):
    pass
"""


@contextmanager
def _ledger(tmp_path: Path) -> Iterator[Live]:
    """A ledger for the jobs of APP, without a worker so far."""
    live = Live(tmp_path, sqlite_ledger(tmp_path / "jobs.db"), APP, {}, shutdown="2s", threads=2)
    try:
        yield live
    finally:
        live.close()


def _worker(live: Live, *shell: str, **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "admin_cli.main", "worker", "--import", "app"]
    environment = {**os.environ, **live._environment, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*shell, *command], cwd=live.folder, env=environment, **streams)
    live.processes.append(process)
    return process


def test_nothing_blocks_while_the_log_is_not_read(tmp_path: Path) -> None:
    with _ledger(tmp_path) as live:
        reading, writing = os.pipe()
        worker = _worker(live, stdout=writing, stderr=writing)
        os.close(writing)

        ended = live.wait_until_final(live.enqueue("Chat", 100) + live.enqueue("ChatAlone", 5))

        assert ended == {"succeeded": 105}
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        os.close(reading)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_worker_without_its_streams_starts_and_performs(tmp_path: Path, closed: str) -> None:
    with _ledger(tmp_path) as live:
        worker = _worker(
            live, "sh", "-c", f'exec "$@" {closed}', "sh", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        (run,) = live.enqueue("Streams")
        assert live.wait_until_final([*live.enqueue("Chat", 3), run]) == {"succeeded": 4}
        # Not a socket or a file of the worker's, into which a print would go.
        streams = live.run(run).result
        assert streams == ["/dev/null"] * 3

        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
