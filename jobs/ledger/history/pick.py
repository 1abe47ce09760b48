"""Picks the ended runs that may move to history next, and locks them.

What moves are runs that ended a while ago, are not purged, and that nothing needs in the hot table any more. These
stay: members of batches and gathers, runs with follow-ups, signals, callbacks or parents (``after=``), and the newest
success of a schedule. The pruner deletes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)

from jobs.database.models import JobCallback, JobParent, JobRun, JobSignal, UtcDateTime
from jobs.database.sql import Executor, RowBatch, ledger_now, plus_seconds
from jobs.ledger.history.periods import FIRST
from jobs.ledger.history_spans import MOVES_AT_AGE
from jobs.ledger.queries.conditions import is_state
from jobs.ledger.runs.prune import is_newest_success
from jobs.states import RunState

LEASES = 4
"""How many leases a run stays in the hot table after its end. Source: decision; late results of attempts that lost
their lease are refused there."""
_SETTINGS = {
    # Each row is found by an index, in the order of an index, whatever the statistics of the tables say.
    **{f"enable_{way}": "off" for way in ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin")},
    "jit": "off",
    # A move that a crash of the server undoes leaves its runs where they were.
    "synchronous_commit": "off",
}
_KINDS = RowBatch("kinds", kind=String(), rule=String())
_QUEUES = RowBatch("queues", queue=String(), rule=String())

Place = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class Part:
    """Runs of a batch that are kept by the same rule and ended on the same day.

    Attributes:
        ids: as PostgreSQL writes an array: no process of ours needs them one by one.
    """

    rule: str
    first_at: datetime
    last_at: datetime
    count: int
    ids: str


@dataclass(frozen=True, slots=True)
class Picked:
    """A batch of runs that are locked. ``last`` is the place of the last one; None if there is no run."""

    parts: Sequence[Part]
    last: Place | None

    @property
    def count(self) -> int:
        return sum(one.count for one in self.parts)


def pick(
    session: Executor,
    state: RunState,
    *,
    beyond: Place | None,
    age: timedelta,
    limit: int,
    kinds: Mapping[str, str],
    queues: Mapping[str, str],
    now: datetime | None = None,
) -> Picked:
    """Lock the oldest runs in this final state that may move; at most ``limit``, after the place ``beyond``.

    Args:
        age: no run moves that ended more recently, nor one that ended within ``MOVES_AT_AGE``.
        kinds: the rule of retention of each kind that is not kept by its state.
        queues: the same for queues, in this state. It wins.
    """
    session.execute(select(*(func.set_config(name, value, True) for name, value in _SETTINGS.items())))
    given = {
        "age_seconds": max(age, MOVES_AT_AGE).total_seconds(),
        "limit": limit,
        "now": now,
        "after_at": beyond[0] if beyond else FIRST,
        "after_id": beyond[1] if beyond else UUID(int=0),
        **_KINDS.rows("postgresql", list(kinds.items())),
        **_QUEUES.rows("postgresql", list(queues.items())),
    }
    found = session.execute(_pick(state), given).all()
    return Picked([Part(*row[2:]) for row in found], (found[0][0], found[0][1]) if found else None)


@cache
def _pick(state: RunState) -> Select[*tuple[Any, ...]]:
    here = tuple_(JobRun.state_at, JobRun.id)
    there = tuple_(bindparam("after_at", type_=UtcDateTime()), bindparam("after_id", type_=Uuid()))
    before = plus_seconds(ledger_now(), -bindparam("age_seconds", type_=Float()))
    picked = (
        select(JobRun.id, JobRun.state_at, JobRun.queue, JobRun.kind)
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
        .cte("picked")
    )
    kinds, queues = _KINDS.table("postgresql"), _QUEUES.table("postgresql")
    rule = func.coalesce(queues.c.rule, kinds.c.rule, literal_column(f"'{state.value}'"))
    day = func.date_trunc("day", picked.c.state_at.op("at time zone")(literal_column("'UTC'")))
    last = select(picked.c.state_at, picked.c.id).order_by(picked.c.state_at.desc(), picked.c.id.desc()).limit(1)
    return (
        select(
            last.with_only_columns(picked.c.state_at).scalar_subquery(),
            last.with_only_columns(picked.c.id).scalar_subquery(),
            rule,
            func.min(picked.c.state_at),
            func.max(picked.c.state_at),
            func.count(),
            cast(func.array_agg(picked.c.id), Text()),
        )
        .select_from(
            picked.outerjoin(kinds, kinds.c.kind == picked.c.kind).outerjoin(queues, queues.c.queue == picked.c.queue)
        )
        .group_by(rule, day)
    )


_NAMED: tuple[tuple[Any, str], ...] = (
    (JobSignal, "run_id"), (JobCallback, "run_id"), (JobParent, "run_id"), (JobParent, "parent_id"),
)  # fmt: skip


def _is_named(model: Any, name: str) -> ColumnElement[bool]:
    named = getattr(model, name)
    return select(named).where(named == JobRun.id).correlate(JobRun).exists()
