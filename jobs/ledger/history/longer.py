"""Runs of a partition that is due which are kept for longer by now: they get another rule, and so another partition.

An operator may have set a longer time for their queue, or a new release of their class says one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Column, Integer, MetaData, Select, String, Table, Uuid, bindparam, select, update

from jobs.database.models import UtcDateTime
from jobs.database.sql import Executor, RowBatch
from jobs.ledger.history.periods import Period
from jobs.migration.history_tables import KEEP, RUNS, TWINS, Twin
from jobs.states import RunState

BATCH = 1000
"""Runs that move on in one transaction. Source: decision; an operator who replays one of them waits for its end."""
_LONGER = RowBatch("longer", id=Uuid())


class Place(NamedTuple):
    """The partition where runs are: its rule and its period."""

    rule: str
    period: Period


def find_longer(
    session: Executor, place: Place, name: tuple[RunState, str, str], *, since: datetime, limit: int = BATCH
) -> list[tuple[UUID, datetime]]:
    """Runs in a partition of this state, queue and kind that ended at ``since`` or later: ids, and when they ended.

    The oldest first, by index. It locks none: ``keep_longer`` takes the rows in the order in which all moves do.
    """
    state, queue, kind = name
    given = {
        "rule": place.rule, "state": state.value, "queue": queue, "kind": kind,
        "since": max(since, place.period.begin), "until": place.period.end, "limit": limit,
    }  # fmt: skip
    return [(row[0], row[1]) for row in session.execute(_find(), given)]


def keep_longer(session: Executor, run_ids: Sequence[UUID], place: Place, *, rule: str) -> None:
    """Give runs of a partition another rule, whose partitions exist.

    PostgreSQL moves the rows. An operator's action that brings one of the runs back at the same time either is first,
    or is repeated.
    """
    given = {
        **_LONGER.rows("postgresql", [(one,) for one in run_ids]),
        "rule": place.rule, "begin": place.period.begin, "end": place.period.end, "other": rule,
    }  # fmt: skip
    for twin in TWINS:
        session.execute(_keep(twin), given)


@cache
def _find() -> Select[UUID, datetime]:
    every = _table(RUNS, "state", "queue", "kind", "finished_at", "deleted_at").c
    return (
        select(every.id, every.state_at)
        .where(
            every[KEEP] == bindparam("rule", type_=String()),
            every.state == bindparam("state", type_=String()),
            every.queue == bindparam("queue", type_=String()),
            every.kind == bindparam("kind", type_=String()),
            every.state_at >= bindparam("since", type_=UtcDateTime()),
            every.state_at < bindparam("until", type_=UtcDateTime()),
            # Both hold for all runs in history; the index is of such runs.
            every.finished_at.is_not(None),
            every.deleted_at.is_(None),
        )
        .order_by(every.state_at, every.id)
        .limit(bindparam("limit", type_=Integer()))
    )


@cache
def _keep(twin: Twin) -> Any:
    cold = _table(twin)
    moment = cold.c[twin.moment]
    return (
        update(cold)
        .where(
            cold.c[KEEP] == bindparam("rule", type_=String()),
            moment >= bindparam("begin", type_=UtcDateTime()),
            moment < bindparam("end", type_=UtcDateTime()),
            _LONGER.among("postgresql", cold.c[twin.run_id], "id"),
        )
        .values({KEEP: bindparam("other", type_=String())})
    )


def _table(twin: Twin, *more: str) -> Table:
    table = Table(twin.name, MetaData(), *(Column(name) for name in more))
    table.append_column(Column(twin.run_id, Uuid()))
    table.append_column(Column(twin.moment, UtcDateTime()))
    table.append_column(Column(KEEP, String()))
    return table
