"""A worker process's threads within the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.app import App
from worker.marks import Marks, MarksTable
from worker.process import Process


@contextmanager
def started(app: App, queue: str) -> Iterator[Process]:
    """It performs runs of one queue while the block runs."""
    table = MarksTable(1)
    process = Process(app, "w1", Marks(table.fd, 0), queues=[queue])
    process.start()
    try:
        yield process
    finally:
        process.stop(5)
        table.close()
