"""A worker process's threads within the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.app import App
from worker.process.process import Process
from worker.protocol.running_table import RunningRows, RunningTable


@contextmanager
def started(app: App, queue: str) -> Iterator[Process]:
    """It performs runs of one queue while the block runs."""
    table = RunningTable(1)
    process = Process(app, "w1", RunningRows(table.fd, 0), queues=[queue])
    process.start()
    try:
        yield process
    finally:
        process.stop(5)
        table.close()
