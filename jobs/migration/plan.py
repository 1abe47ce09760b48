"""What ``migrate up`` would do here: each step, what it locks, and about how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from jobs.migration import schema
from jobs.migration.lock_plan import Lock, MigrationStep, steps_of

if TYPE_CHECKING:
    from jobs.database.engine import Database

ROWS_A_SECOND = 150_000
"""Rows of ``job_runs`` that an index build or the check of a CHECK reads. Source: measured with writers at work on two
cores, where 1,500,000 rows took 5 to 10 s; a server of its own is faster."""
_SIZES = text("""
select relname, greatest(reltuples, 0)::bigint from pg_class
where relkind in ('r', 'p') and relnamespace = (
    select relnamespace from pg_class where oid = to_regclass(coalesce(quote_ident(:schema) || '.', '') || 'job_runs')
)
""")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a migration, on the tables as they are.

    Attributes:
        rows: about how many rows it reads; None if it reads none.
    """

    step: MigrationStep
    rows: int | None

    @property
    def takes(self) -> timedelta | None:
        """About how long it takes; None for a moment."""
        return None if self.rows is None else timedelta(seconds=max(1, round(self.rows / ROWS_A_SECOND)))


def plan(database: Database) -> list[PlannedStep]:
    """The steps of ``upgrade`` that are left, in order; none on a database without tables, where nothing waits.

    On SQLite one transaction has them all, for which every writer waits.
    """
    at = schema.current(database)
    if at is None or at == schema.REVISION or at > schema.REVISION:
        return []
    steps = steps_of(schema.sql(database, since=at))
    if database.dialect == "sqlite":
        return [PlannedStep(MigrationStep(one.revision, one.what, one.table, Lock.WRITES), None) for one in steps]
    with database.read() as connection:
        sizes = _sizes(connection, database.schema)
    return [PlannedStep(one, sizes.get(one.table or "", 0) if one.reads_rows else None) for one in steps]


def _sizes(connection: Connection, of_schema: str | None) -> dict[str, int]:
    """About how many rows each table has, as the last VACUUM or ANALYZE counted them."""
    return {name: rows for name, rows in connection.execute(_SIZES, {"schema": of_schema})}  # noqa: C416
