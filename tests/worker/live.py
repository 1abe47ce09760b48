"""A real worker (supervisor, zygote, processes) over a real ledger, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from jobs import boot
from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.models import JobAttempt, JobRun
from jobs.enqueue.write_path import enqueue_runs
from jobs.ledger.records import NewRun
from jobs.ledger.runs.cancel import cancel_runs
from jobs.settings import Settings
from tests.fork_server import forked
from tests.templates import sqlite_ledger
from tests.worker.conftest import wait_for

ROOT = Path(__file__).parents[2]
PROGRAM = "tests.worker.live_program"
FINAL = ("succeeded", "dead", "cancelled")


class Live:
    """A worker and the ledger that it serves."""

    def __init__(
        self, folder: Path, url: str, app: str, options: dict[str, Any], *, is_fork: bool = True, **settings: object
    ) -> None:
        self.folder = folder
        self._program = forked(PROGRAM) if is_fork else [sys.executable, "-P", "-m", PROGRAM]
        self.write_app(app)
        told = {"database_url": url, "imports": "app", "log_format": "json", **settings}
        self._environment = {f"JOBS_{name.upper()}": str(value) for name, value in told.items()}
        self.ledger: App = boot.build(Settings(database_url=url))
        self._options = options
        self._errors = folder / "stderr"
        self.processes: list[subprocess.Popen[bytes]] = []

    def write_app(self, app: str) -> None:
        """The application's code, from the next start of a zygote on."""
        text = "import jobs\nfrom jobs import Job\nfrom datetime import timedelta\n" + app
        fresh = self.folder / "app.py.new"
        fresh.write_text(text)
        fresh.rename(self.folder / "app.py")

    def start(self) -> subprocess.Popen[bytes]:
        with open(self._errors, "ab") as errors:
            self.processes.append(
                subprocess.Popen(
                    [*self._program, json.dumps(self._options)],
                    cwd=self.folder,
                    env={**os.environ, **self._environment, "PYTHONPATH": str(ROOT)},
                    stderr=errors,
                    start_new_session=True,
                )
            )
        return self.processes[-1]

    def enqueue(
        self,
        kind: str,
        count: int = 1,
        *,
        queue: str = "default",
        max_attempts: int = 5,
        arguments_version: int = 1,
        **arguments: Any,
    ) -> list[UUID]:
        runs = [
            NewRun(
                id=new_run_id(),
                kind=kind,
                queue=queue,
                arguments=json.dumps(arguments),
                arguments_version=arguments_version,
                max_attempts=max_attempts,
            )
            for _ in range(count)
        ]
        return [one.id for one in enqueue_runs(self.ledger, runs)]

    def run(self, run_id: UUID) -> Any:
        with self.ledger.database.read() as connection:
            return connection.execute(select(JobRun.__table__).where(JobRun.id == run_id)).one()

    def states(self, run_ids: list[UUID]) -> dict[str, int]:
        with self.ledger.database.read() as connection:
            found = dict(connection.execute(select(JobRun.id, JobRun.state).where(JobRun.id.in_(run_ids))).all())
        counts: dict[str, int] = {}
        for state in found.values():
            counts[str(state)] = counts.get(str(state), 0) + 1
        return counts

    def attempts(self, run_id: UUID) -> list[Any]:
        with self.ledger.database.read() as connection:
            wanted = select(JobAttempt.__table__).where(JobAttempt.run_id == run_id).order_by(JobAttempt.attempt)
            return list(connection.execute(wanted))

    def outcomes(self, run_id: UUID) -> list[str]:
        return [str(one.outcome) for one in self.attempts(run_id)]

    def cancel(self, run_id: UUID) -> None:
        with self.ledger.database.write() as connection:
            cancel_runs(connection, [run_id])

    def wait_for(self, fact: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:
        try:
            return wait_for(fact, what, seconds=seconds)
        except AssertionError:
            raise AssertionError(f"never saw: {what}; the worker said:\n{self.said()[-4000:]}") from None

    def wait_until_final(self, run_ids: list[UUID], *, seconds: float = 60.0) -> dict[str, int]:
        self.wait_for(
            lambda: sum(count for state, count in self.states(run_ids).items() if state in FINAL) == len(run_ids),
            f"{len(run_ids)} runs final: {self.states(run_ids)}",
            seconds=seconds,
        )
        return self.states(run_ids)

    def wait_until_running(self, run_id: UUID) -> None:
        self.wait_for(lambda: self.run(run_id).state == "running", "the run running")

    def said(self) -> str:
        return self._errors.read_text() if self._errors.exists() else ""

    def logged(self, event: str) -> list[dict[str, Any]]:
        # The last line may be half written just now.
        lines = [line for line in self.said().splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]
        return [one for one in map(json.loads, lines) if one["event"] == event]

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.ledger.close()


@contextmanager
def live_worker(
    folder: Path,
    *,
    app: str,
    url: str | None = None,
    options: dict[str, Any] | None = None,
    is_fork: bool = True,
    **settings: object,
) -> Iterator[Live]:
    """A started worker for the jobs in ``app``.

    Args:
        url: of a migrated, empty ledger; None: a new one on SQLite.
        is_fork: False: its supervisor and its zygotes are fresh interpreters, as in operation.
    """
    url = url or sqlite_ledger(folder / "jobs.db")
    worker = Live(folder, url, app, options or {}, is_fork=is_fork, **{"shutdown": "5s", **settings})
    worker.start()
    try:
        yield worker
    finally:
        worker.close()
