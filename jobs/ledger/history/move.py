"""Moves runs that ended to history; ``history_rows`` moves them back.

A run is in exactly one of the two: each move is one transaction. Its rows stay on the server: ``pick`` locks the runs
of a batch, and ``move`` moves them with all their rows by one statement. The snapshot of that statement is from after
the locks, so it sees every attempt that was recorded under the lock of its run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import CTE, String, Uuid, bindparam, cast, delete, func, insert, select

from jobs.database.sql import Executor, RowBatch
from jobs.ledger.history.pick import Picked
from jobs.ledger.history_rows import Layout, layout_of, table_of
from jobs.migration.history_tables import KEEP, RUNS, TWINS

_MOVED = RowBatch("moved", id=Uuid())


class HistoryBehind(Exception):
    """A twin lacks columns of its hot table, so a move would lose values. ``migrate up`` adds them."""

    def __init__(self, twin: str, missing: Sequence[str]) -> None:
        super().__init__(f"{twin} lacks {', '.join(missing)}")
        self.twin, self.missing = twin, tuple(missing)


class TablesChanged(Exception):
    """A migration changed the tables meanwhile: read their layout again."""


def move(session: Executor, picked: Picked, layout: Layout) -> None:
    """Move these runs, which ``pick`` locked in this transaction. Their partitions exist.

    Args:
        layout: of the tables, read before.

    Raises:
        HistoryBehind: history lacks a column; roll back.
        TablesChanged: the layout is not theirs any more; roll back.
    """
    for twin, hot, cold in zip(TWINS, layout.hot, layout.cold, strict=True):
        if missing := sorted(set(hot) - set(cold)):
            raise HistoryBehind(twin.name, missing)
    for part in picked.parts:
        session.execute(_move(layout), {"rule": part.rule, "moved_id": part.ids})
    # The statements hold locks on the tables by now, so nobody adds a column before the commit.
    if layout_of(session) != layout:
        raise TablesChanged


@cache
def _move(layout: Layout) -> Any:
    """Delete the runs and their rows here, and insert them there: one statement for all the tables."""
    moved = _MOVED.table("postgresql")
    rule = cast(bindparam("rule", type_=String()), String())
    runs: Any = None
    inserts: list[CTE] = []
    for twin, columns in reversed(list(zip(TWINS, layout.hot, strict=True))):
        hot = table_of(twin.hot, columns)
        returned: list[Any] = [hot.c[name] for name in columns]
        if twin is RUNS:
            query = delete(hot).where(hot.c[twin.run_id] == moved.c.id)
        else:
            query = delete(hot).where(hot.c[twin.run_id] == runs.c.id)
            returned.append(runs.c[RUNS.moment].label(twin.moment))
        gone = query.returning(*returned).cte(f"gone_{twin.hot}")
        runs = gone if twin is RUNS else runs
        names = list(dict.fromkeys((*columns, twin.moment)))
        there = insert(table_of(twin.name, (*names, KEEP)))
        inserts.append(
            there.from_select([*names, KEEP], select(*(gone.c[name] for name in names), rule)).cte(f"to_{twin.name}")
        )
    return select(func.count()).select_from(runs).add_cte(*inserts)
