"""Runs whose rows somebody else has written."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from jobs import Job
from jobs.app import App
from jobs.clock import new_run_id
from jobs.ledger.queries.find import list_runs
from jobs.ledger.records import NewRun
from jobs.ledger.run_records import RunRecord
from jobs.states import RunState


class Note(Job, queue="unreadable", kind="unreadable.Note"):
    n: int

    def perform(self) -> int:
        return self.n


def runs_of(count: int, queue: str = "unreadable") -> list[NewRun]:
    return [
        NewRun(id=new_run_id(), kind="unreadable.Note", queue=queue, arguments=f'{{"n": {n}}}', max_attempts=3)
        for n in range(count)
    ]


def spoil(app: App, run: NewRun, column: str, value: Any) -> None:
    """Write what no release of ours does."""
    shown = value
    if app.database.dialect == "postgresql" and isinstance(value, str):
        statement = f"update job_runs set {column} = '{value}' where id = :id"
        given: dict[str, Any] = {"id": run.id}
    else:
        statement, given = f"update job_runs set {column} = :value where id = :id", {"id": run.id.hex, "value": shown}
    with app.database.write() as connection:
        if app.database.dialect == "sqlite":
            connection.exec_driver_sql("pragma ignore_check_constraints = on")
        connection.execute(text(statement), given)
        if app.database.dialect == "sqlite":
            connection.exec_driver_sql("pragma ignore_check_constraints = off")


def every(app: App) -> list[RunRecord]:
    with app.database.read() as connection:
        return list_runs(connection, limit=1000)


def has_settled(app: App, ids: set[Any]) -> bool:
    return all(run.state is RunState.SUCCEEDED for run in every(app) if run.id in ids)
