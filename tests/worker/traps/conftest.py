"""Threads of worker processes, started in the test process, and the events that they emit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from jobs.app import App
from jobs.events import AttemptEnded, BatchSettled, ServiceFailed
from tests.worker.traps.stage import STAGE, StartProcess, running_rows
from worker.process.process import Process


@pytest.fixture
def start(app: App) -> Iterator[StartProcess]:
    """Starts worker processes' threads in this process: ``start(name="w1", queues=[…])``."""
    STAGE.clear()
    started: list[Process] = []

    def begin(
        name: str = "w1",
        *,
        on: App | None = None,
        before: Callable[[Process], None] | None = None,
        queues: Sequence[str] = ("default",),
    ) -> Process:
        process = Process(on or app, name, running_rows(), queues=queues)
        if before is not None:
            before(process)
        started.append(process)
        process.start()
        return process

    yield begin
    STAGE.gate.set()
    for process in started:
        process.stop(5)


@pytest.fixture
def heard(app: App) -> dict[type, list[Any]]:
    events: dict[type, list[Any]] = {kind: [] for kind in (AttemptEnded, BatchSettled, ServiceFailed)}
    for kind, sink in events.items():
        app.events.subscribe(kind, sink.extend)
    return events
