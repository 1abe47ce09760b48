"""Rows of history for those who need a run in the hot tables again: they move back in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Column, MetaData, Table, Uuid, delete, insert, select, text

from jobs.database.sql import Executor, RowBatch, dialect_of, schema_of
from jobs.migration.history_tables import RUNS, TWINS, Twin

_BACK = RowBatch("back", id=Uuid())
_HAS = text("select to_regclass(coalesce(quote_ident(:schema) || '.', '') || :name) is not null")
_COLUMNS = text(
    "select array(select attname::text from pg_attribute"
    " where attrelid = to_regclass(coalesce(quote_ident(:schema) || '.', '') || name)"
    " and attnum > 0 and not attisdropped order by attnum)"
    " from unnest(cast(:names as text[])) with ordinality as tables (name, place) order by place"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the tables as the catalogue has them: a later release may have added some.

    Attributes:
        hot: of the hot table of each twin, in the order of ``TWINS``.
        cold: of each twin.
    """

    hot: tuple[tuple[str, ...], ...]
    cold: tuple[tuple[str, ...], ...]


def has_history(session: Executor) -> bool:
    """Whether history was enabled once on this ledger. One statement, so ask only when a run was not found."""
    if dialect_of(session) != "postgresql":
        return False
    return bool(session.scalar(_HAS, {"schema": schema_of(session), "name": RUNS.name}))


def bring_back(session: Executor, run_ids: Sequence[UUID]) -> int:
    """Move runs from history back to the hot tables; returns how many were in history. There is one."""
    moved = 0
    given = _BACK.rows("postgresql", [(one,) for one in run_ids])
    for twin, columns in zip(TWINS, layout_of(session).hot, strict=True):
        moved = len(session.execute(_back(twin, columns), given).all())
    return moved


def layout_of(session: Executor) -> Layout:
    """The layout at this moment."""
    names = [one.hot for one in TWINS] + [one.name for one in TWINS]
    found = [tuple(one) for one in session.scalars(_COLUMNS, {"schema": schema_of(session), "names": names})]
    return Layout(tuple(found[: len(TWINS)]), tuple(found[len(TWINS) :]))


def table_of(name: str, columns: Sequence[str]) -> Table:
    """A table by the names of its columns, without their types."""
    return Table(name, MetaData(), *(Column(one) for one in dict.fromkeys(columns)))


@cache
def _back(twin: Twin, columns: tuple[str, ...]) -> Any:
    hot, cold = table_of(twin.hot, columns), table_of(twin.name, columns)
    meant = _BACK.among("postgresql", cold.c[twin.run_id], "id")
    gone = delete(cold).where(meant).returning(*(cold.c[name] for name in columns)).cte("gone")
    there = insert(hot).from_select(list(columns), select(*(gone.c[name] for name in columns)))
    return there.returning(hot.c[twin.run_id])
