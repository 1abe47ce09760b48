"""Moves runs that ended to history; ``history_rows`` moves them back.

A run is in exactly one of the two: each move is one transaction. What moves are runs that ended a while ago, are not
purged, and that nothing needs in the hot table any more. These stay: members of batches and gathers, runs with
follow-ups, signals, callbacks or parents (``after=``), and the newest success of a schedule. The pruner deletes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Select,
    String,
    Uuid,
    bindparam,
    delete,
    select,
    tuple_,
)

from jobs.database.models import JobCallback, JobParent, JobRun, JobSignal, UtcDateTime
from jobs.database.sql import Executor, RowBatch, ledger_now, plus_seconds
from jobs.ledger.history.periods import FIRST
from jobs.ledger.history_rows import columns_of, insert_from, table_of
from jobs.ledger.queries.conditions import is_state
from jobs.ledger.runs.prune import is_newest_success
from jobs.migration.history_tables import KEEP, TWINS, Twin
from jobs.states import RunState

LEASES = 4
"""How many leases a run stays in the hot table after its end. Source: decision; late results of attempts that lost
their lease are refused there."""
BATCH = 1000
"""Runs of one move. Source: measured; see ``benchmarks/history.py``."""
_MOVED = RowBatch("moved", id=Uuid(), ended_at=UtcDateTime(), keep=String())

Place = tuple[datetime, UUID]


class HistoryBehind(Exception):
    """A twin lacks columns of its hot table, so a move would lose values. ``migrate up`` adds them."""

    def __init__(self, twin: str, missing: Sequence[str]) -> None:
        super().__init__(f"{twin} lacks {', '.join(missing)}")
        self.twin, self.missing = twin, tuple(missing)


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that may move, locked."""

    id: UUID
    ended_at: datetime
    kind: str


def pick(
    session: Executor,
    state: RunState,
    *,
    beyond: Place | None,
    age: timedelta,
    limit: int = BATCH,
    now: datetime | None = None,
) -> list[EndedRun]:
    """Lock the oldest runs in this final state that may move; at most ``limit``, after the place ``beyond``."""
    given = {
        "age_seconds": age.total_seconds(),
        "limit": limit,
        "now": now,
        "after_at": beyond[0] if beyond else FIRST,
        "after_id": beyond[1] if beyond else UUID(int=0),
    }
    return [EndedRun(*row) for row in session.execute(_pick(state), given)]


def move(session: Executor, runs: Sequence[tuple[EndedRun, str]]) -> None:
    """Move these runs, which ``pick`` locked in this transaction. Their partitions exist.

    Args:
        runs: each with its rule of retention.

    Raises:
        HistoryBehind: history lacks a column; roll back.
    """
    if not runs:
        return
    given = _MOVED.rows("postgresql", [(one.id, one.ended_at, keep) for one, keep in runs])
    for twin in TWINS:
        columns = columns_of(session, twin.hot)
        missing = sorted(set(columns) - set(columns_of(session, twin.name)))
        if missing:
            raise HistoryBehind(twin.name, missing)
        session.execute(_move(twin, columns), given)


@cache
def _pick(state: RunState) -> Select[UUID, datetime, str]:
    here = tuple_(JobRun.state_at, JobRun.id)
    there = tuple_(bindparam("after_at", type_=UtcDateTime()), bindparam("after_id", type_=Uuid()))
    before = plus_seconds(ledger_now(), -bindparam("age_seconds", type_=Float()))
    return (
        select(JobRun.id, JobRun.state_at, JobRun.kind)
        .where(
            is_state(state),
            JobRun.finished_at.is_not(None),
            JobRun.deleted_at.is_(None),
            JobRun.state_at < before,
            here > there,
            ~JobRun.has_followups,
            JobRun.batch_id.is_(None),
            *(~_is_named(model, name) for model, name in _NAMED),
            ~is_newest_success(),
        )
        .order_by(JobRun.state_at, JobRun.id)
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True, of=JobRun)
    )


_NAMED: tuple[tuple[Any, str], ...] = (
    (JobSignal, "run_id"), (JobCallback, "run_id"), (JobParent, "run_id"), (JobParent, "parent_id"),
)  # fmt: skip


def _is_named(model: Any, name: str) -> ColumnElement[bool]:
    named = getattr(model, name)
    return select(named).where(named == JobRun.id).correlate(JobRun).exists()


@cache
def _move(twin: Twin, columns: tuple[str, ...]) -> Any:
    hot, cold = table_of(twin.hot, columns), table_of(twin.name, (*columns, twin.moment, KEEP))
    moved = _MOVED.table("postgresql").c
    gone = (
        delete(hot)
        .where(hot.c[twin.run_id] == moved.id, _MOVED.among("postgresql", hot.c[twin.run_id], "id"))
        .returning(*(hot.c[name] for name in columns), moved.keep, moved.ended_at)
        .cte("gone")
    )
    return insert_from(cold, gone, (*columns, *(name for name in (KEEP, twin.moment) if name not in columns)))
