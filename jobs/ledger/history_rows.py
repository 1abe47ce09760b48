"""Rows of history for those who need a run in the hot tables again: they move back in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Column, MetaData, Table, Uuid, delete, insert, select, text

from jobs.database.sql import Executor, RowBatch, dialect_of, schema_of
from jobs.migration.history_tables import RUNS, TWINS, Twin

_BACK = RowBatch("back", id=Uuid())
_HAS = text("select to_regclass(coalesce(quote_ident(:schema) || '.', '') || :name) is not null")
_COLUMNS = text(
    "select attname from pg_attribute where attrelid = to_regclass(coalesce(quote_ident(:schema) || '.', '') || :name)"
    " and attnum > 0 and not attisdropped order by attnum"
)


def has_history(session: Executor) -> bool:
    """Whether history was enabled once on this ledger. One statement, so ask only when a run was not found."""
    if dialect_of(session) != "postgresql":
        return False
    return bool(session.scalar(_HAS, {"schema": schema_of(session), "name": RUNS.name}))


def bring_back(session: Executor, run_ids: Sequence[UUID]) -> int:
    """Move runs from history back to the hot tables; returns how many were in history. There is one."""
    moved = 0
    given = _BACK.rows("postgresql", [(one,) for one in run_ids])
    for twin in TWINS:
        moved = len(session.execute(_back(twin, columns_of(session, twin.hot)), given).all())
    return moved


def columns_of(session: Executor, name: str) -> tuple[str, ...]:
    """The columns of a table as the catalogue has them: a later release may have added some."""
    return tuple(session.scalars(_COLUMNS, {"schema": schema_of(session), "name": name}))


def table_of(name: str, columns: Sequence[str]) -> Table:
    """A table by the names of its columns, without their types."""
    return Table(name, MetaData(), *(Column(one) for one in dict.fromkeys(columns)))


def insert_from(into: Table, gone: CTE, columns: Sequence[str]) -> Any:
    """INSERT what a DELETE returned."""
    return insert(into).from_select(list(columns), select(*(gone.c[name] for name in columns)))


@cache
def _back(twin: Twin, columns: tuple[str, ...]) -> Any:
    hot, cold = table_of(twin.hot, columns), table_of(twin.name, columns)
    meant = _BACK.among("postgresql", cold.c[twin.run_id], "id")
    gone = delete(cold).where(meant).returning(*(cold.c[name] for name in columns)).cte("gone")
    return insert_from(hot, gone, columns).returning(hot.c[twin.run_id])
