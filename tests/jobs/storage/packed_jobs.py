"""Jobs whose arguments and results are too large for their row."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, String, cast, inspect, select

import jobs
from jobs.app import App
from jobs.database.models import Base, JobBlobChunk
from jobs.ledger.runs.move import arguments_text

ROWS = [f"canary-{n:04}" for n in range(800)]
"""Some 10 KB as JSON."""
ABOVE = 4096
seen: list[Any] = []


class Rows(jobs.Job, kind="packed.Rows"):
    order: int
    rows: list[str]
    fails: bool = False

    def perform(self) -> Any:
        seen.append((self.order, self.rows == ROWS))
        if self.fails and self.run.attempt == 1:
            raise ValueError("again")
        return {"order": self.order, "rows": self.rows}


class RowsAsync(jobs.Job, kind="packed.RowsAsync"):
    order: int
    rows: list[str]

    async def perform(self) -> Any:
        seen.append((self.order, self.rows == ROWS))
        return self.rows


class Gathers(jobs.Job, kind="packed.Gathers"):
    def perform(self) -> Any:
        found = self.run.gather("all", [Rows(order=100, rows=ROWS)])
        return [len(one["rows"]) for one in found]


class After(jobs.Job, kind="packed.After"):
    def perform(self) -> Any:
        return [len(one.result["rows"]) for one in self.run.parents()]


class SealedRows(jobs.Job, kind="packed.SealedRows", seal=True, subject="person"):
    person: int
    rows: list[str]

    def perform(self) -> Any:
        seen.append((self.person, self.rows == ROWS))
        return self.rows


class AnyValue(jobs.Job, kind="packed.AnyValue"):
    value: Any = None
    returns: Any = None

    def perform(self) -> Any:
        return self.returns


class ByMethod(jobs.Job, kind="packed.ByMethod", limits=jobs.Limit(3, by="first", name="packed-first")):
    rows: list[str]

    def first(self) -> str:
        return self.rows[0]

    def perform(self) -> None: ...


class ByField(jobs.Job, kind="packed.ByField", limits=jobs.Limit(3, by="tenant", name="packed-tenant")):
    tenant: str
    rows: list[str]

    def perform(self) -> None:
        seen.append((len(self.tenant), self.rows == ROWS))


def in_row(app: App, run_id: UUID) -> str:
    """The text of the arguments in the run's row."""
    with app.database.read() as connection:
        return arguments_text(connection, [run_id])[run_id]


def everything(app: App) -> str:
    """All that the tables of the ledger hold, as text."""
    found = []
    with app.database.read() as connection:
        names = set(inspect(connection).get_table_names())
        for table in Base.metadata.sorted_tables:
            if table.name in names:
                columns = [cast(one, String) for one in table.c if not isinstance(one.type, LargeBinary)]
                found += [str(tuple(row)) for row in connection.execute(select(*columns))]
        found += [repr(bytes(one)) for one in connection.scalars(select(JobBlobChunk.data))]
    return "\n".join(found)
