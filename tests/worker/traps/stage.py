"""The jobs of these tests, the records that they leave, and what the tests ask the ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import jobs
from jobs.app import App
from jobs.ledger.queries import find, reports
from jobs.states import RunState
from tests.waiting import wait_until
from worker.process.process import Process
from worker.protocol.running_table import RunningRows, RunningTable

SOON = 60.0
"""The limit of every wait here, in seconds."""


class Stage:
    """The records of the jobs of these tests, and the events that they wait for."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self.gate = threading.Event()

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


STAGE = Stage()


class Note(jobs.Job, kind="traps.Note"):
    """Notes that it was performed."""

    n: int = 0

    def perform(self) -> int:
        STAGE.began.append(self.n)
        return self.n


class Hold(jobs.Job, kind="traps.Hold"):
    """Performs until the gate opens."""

    n: int = 0

    def perform(self) -> None:
        STAGE.began.append(self.n)
        assert STAGE.gate.wait(100)


class Light(jobs.Job, kind="traps.Light"):
    """An async job: every worker here looks for its runs besides those for its threads."""

    async def perform(self) -> None:
        STAGE.began.append("light")


StartProcess = Callable[..., Process]


def running_rows() -> RunningRows:
    return RunningRows(RunningTable(1).fd, 0)


def counts(app: App) -> dict[RunState, int]:
    with app.database.read() as connection:
        return reports.count_by_state(connection)


def all_succeeded(app: App, number: int) -> bool:
    return wait_until(lambda: counts(app) == {RunState.SUCCEEDED: number}, seconds=SOON)


def names_of(threads: set[threading.Thread]) -> set[str]:
    return {one.name for one in threads}


def attempts(app: App, run_id: Any) -> list[Any]:
    with app.database.read() as connection:
        return find.list_attempts(connection, run_id)
