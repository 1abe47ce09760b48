"""Counts of the runs that ended under a target: a row each minute, and what has ended since the last row.

A count is of rows of the ledger, by index alone, so it is exact after any crash and the same from every process. The
rows keep it when the runs are pruned or move to history. A run that died and was replayed counts each time that it
ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Integer, Select, Text, delete, func, literal_column, select, tuple_

from jobs.database.models import JobRun, JobTargetCount, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, insert_into
from jobs.ledger.targets.set_targets import Key
from jobs.targets.burn import PERIOD, Count

MINUTELY_KEPT = timedelta(hours=7)
"""How long the row of each minute is kept; later one an hour. Source: decision; above the longest window that needs it.
"""
HOURLY_KEPT = PERIOD + timedelta(days=1)
OLD_ROWS = 10_000
"""Most rows that are deleted at once."""
_PARTS = RowBatch(
    "parts", place=Integer(), queue=Text(), kind=Text(), since=UtcDateTime(), until=UtcDateTime()
)  # fmt: skip
_ASKED = RowBatch("asked", place=Integer(), what=Text(), target=Text(), before=UtcDateTime())
_NEW = RowBatch(
    "counted", what=Text(), target=Text(), counted_at=UtcDateTime(), succeeded=BigInteger(), dead=BigInteger(),
    is_hourly=Integer(),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CountRecord:
    """What had ended before ``counted_at``."""

    counted_at: datetime
    count: Count


@dataclass(frozen=True, slots=True)
class Range:
    """The runs of a queue and a kind that ended from ``since`` until just before ``until``."""

    queue: str
    kind: str
    since: datetime
    until: datetime


def count_ended(session: Executor, ranges: Sequence[Range]) -> list[Count]:
    """The number of succeeded and of dead runs of each range. Two index ranges each, and one statement for all."""
    if not ranges:
        return []
    dialect = dialect_of(session)
    rows = [(place, one.queue, one.kind, one.since, one.until) for place, one in enumerate(ranges)]
    found = [Count()] * len(ranges)
    for place, succeeded, dead in session.execute(_ended(dialect), _PARTS.rows(dialect, rows)):
        found[place] = Count(succeeded, dead)
    return found


def counts_before(session: Executor, asked: Sequence[tuple[Key, datetime]]) -> list[CountRecord | None]:
    """For each key and moment the last row until then, else the first one after; None if the key has no row."""
    if not asked:
        return []
    dialect = dialect_of(session)
    rows = [(place, what, name, before) for place, ((what, name), before) in enumerate(asked)]
    found: list[CountRecord | None] = [None] * len(asked)
    for place, at, succeeded, dead in session.execute(_before(dialect), _ASKED.rows(dialect, rows)):
        found[place] = CountRecord(at, Count(succeeded, dead))
    return found


def write_counts(session: Executor, counts: Mapping[Key, CountRecord]) -> None:
    """Write rows; one that another process has written stays."""
    if not counts:
        return
    dialect = dialect_of(session)
    rows = [
        (what, name, one.counted_at, one.count.succeeded, one.count.dead, int(one.counted_at.minute == 0))
        for (what, name), one in sorted(counts.items())
    ]
    session.execute(_write(dialect), _NEW.rows(dialect, rows))


def forget_old_counts(session: Executor, *, now: datetime, limit: int = OLD_ROWS) -> int:
    """Delete the rows of minutes that are old, and those of hours that are beyond the budget's period."""
    key = JobTargetCount.what, JobTargetCount.name, JobTargetCount.counted_at
    gone = 0
    for is_hourly, kept in ((False, MINUTELY_KEPT), (True, HOURLY_KEPT)):
        old = select(*key).where(JobTargetCount.is_hourly == is_hourly, JobTargetCount.counted_at < now - kept)
        deleted = delete(JobTargetCount).where(tuple_(*key).in_(old.limit(limit))).returning(JobTargetCount.name)
        gone += len(session.execute(deleted).all())
    return gone


@cache
def _ended(dialect: str) -> Select[Any]:
    part = _PARTS.table(dialect).c

    def number(state: str) -> Any:
        return (
            select(func.count())
            .select_from(JobRun)
            .where(
                JobRun.state == literal_column(f"'{state}'"), JobRun.finished_at.is_not(None),
                JobRun.deleted_at.is_(None), JobRun.queue == part.queue, JobRun.kind == part.kind,
                JobRun.state_at >= part.since, JobRun.state_at < part.until,
            )
            .scalar_subquery()
        )  # fmt: skip

    return select(part.place, number("succeeded"), number("dead"))


@cache
def _before(dialect: str) -> Select[Any]:
    asked, table = _ASKED.table(dialect).c, JobTargetCount

    def moment(which: Any, *more: Any) -> Any:
        query = select(which(table.counted_at)).where(table.what == asked.what, table.name == asked.target, *more)
        return query.correlate_except(JobTargetCount).scalar_subquery()

    at = func.coalesce(moment(func.max, table.counted_at <= asked.before), moment(func.min))
    row = JobTargetCount.__table__.alias("row_of").c
    return select(asked.place, row.counted_at, row.succeeded, row.dead).where(
        row.what == asked.what, row.name == asked.target, row.counted_at == at
    )


@cache
def _write(dialect: str) -> Any:
    new = _NEW.table(dialect).c
    values: dict[str, Any] = {name: new[name] for name in ("what", "counted_at", "succeeded", "dead")}
    values["name"] = new.target
    values["is_hourly"] = new.is_hourly == 1
    rows = insert_into(dialect, JobTargetCount).from_select(
        list(values), select(*values.values()).where(literal_column("1") == 1), include_defaults=False
    )
    return rows.on_conflict_do_nothing(index_elements=["what", "name", "counted_at"])
