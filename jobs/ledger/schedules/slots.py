"""Slots: the result of each, one row per schedule and moment; and the live runs of schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Text,
    Uuid,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from jobs.database.models import LIVE_OF_SCHEDULE, JobRun, JobScheduleSlot, UtcDateTime
from jobs.database.sql import Executor, RowBatch, dialect_of, ledger_now, plus_seconds
from jobs.ledger.records import Freed
from jobs.ledger.runs.cancel import cancel_runs
from jobs.scheduling.misfires import SlotState

_NEW = RowBatch(
    "slot",
    schedule=Text(),
    slot_at=UtcDateTime(),
    state=Text(),
    why=Text(),
    run_id=Uuid(),
    older_missed=Integer(),
)
_LIVE: ColumnElement[bool] = literal_column(f"({LIVE_OF_SCHEDULE})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    """The result of a slot, as read. It includes ``older_missed`` older slots, which have no rows."""

    schedule: str
    slot_at: datetime
    state: SlotState
    why: str
    run_id: UUID | None
    decided_at: datetime
    older_missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSlot:
    """A slot to record; it has a run exactly when it is fired or backfilled."""

    schedule: str
    slot_at: datetime
    state: SlotState
    why: str
    run_id: UUID | None = None
    older_missed: int = 0


def record_slots(
    session: Executor, new: Sequence[NewSlot], *, now: datetime | None = None
) -> set[tuple[str, datetime]]:
    """Write the results of slots; returns those written. An existing row stays, whichever process wrote it.

    Only a slot written here may make its run, so that it fires once.
    """
    if not new:
        return set()
    dialect = dialect_of(session)
    rows = [(one.schedule, one.slot_at, one.state.value, one.why, one.run_id, one.older_missed) for one in new]
    written = session.execute(_insert(dialect), {**_NEW.rows(dialect, rows), "now": now})
    return {(row.schedule, row.slot_at) for row in written}


def overwrite_unfired(
    session: Executor, new: Sequence[NewSlot], *, now: datetime | None = None
) -> set[tuple[str, datetime]]:
    """For backfilling: like ``record_slots``, and new results replace skipped or missed ones."""
    written = record_slots(session, new, now=now)
    for one in new:
        if (one.schedule, one.slot_at) in written:
            continue
        moved = session.execute(
            update(JobScheduleSlot)
            .where(
                JobScheduleSlot.schedule == one.schedule,
                JobScheduleSlot.slot_at == one.slot_at,
                JobScheduleSlot.run_id.is_(None),
            )
            .values(state=one.state.value, why=one.why, run_id=one.run_id, decided_at=ledger_now())
            .returning(JobScheduleSlot.slot_at),
            {"now": now},
        ).first()
        if moved is not None:
            written.add((one.schedule, one.slot_at))
    return written


def list_slots(
    session: Executor,
    schedule: str,
    *,
    since: datetime | None = None,
    before: datetime | None = None,
    limit: int = 50,
) -> list[SlotRecord]:
    """The results of a schedule's slots, newest first; ``before`` is the last moment of the previous page."""
    columns = [getattr(JobScheduleSlot, field.name) for field in fields(SlotRecord)]
    query = select(*columns).where(JobScheduleSlot.schedule == schedule)
    if since is not None:
        query = query.where(JobScheduleSlot.slot_at >= since)
    if before is not None:
        query = query.where(JobScheduleSlot.slot_at < before)
    rows = session.execute(query.order_by(JobScheduleSlot.slot_at.desc()).limit(limit))
    return [SlotRecord(**{**row._mapping, "state": SlotState(row.state)}) for row in rows]


def fired_among(session: Executor, schedule: str, moments: Sequence[datetime]) -> set[datetime]:
    """Those of ``moments`` whose slot has a run."""
    return set(
        session.scalars(
            select(JobScheduleSlot.slot_at).where(
                JobScheduleSlot.schedule == schedule,
                JobScheduleSlot.slot_at.in_(list(moments)),
                JobScheduleSlot.run_id.is_not(None),
            )
        )
    )


def live_runs(session: Executor, names: Sequence[str]) -> dict[str, int]:
    """How many unfinished runs each schedule has; schedules without any are left out."""
    if not names:
        return {}
    rows = session.execute(
        select(JobRun.schedule, func.count()).where(JobRun.schedule.in_(list(names)), _LIVE).group_by(JobRun.schedule)
    )
    return {str(name): number for name, number in rows}


def cancel_live(
    session: Executor, name: str, *, reason: str, limit: int = 1000, now: datetime | None = None
) -> Sequence[Freed]:
    """Cancel the unfinished runs of a schedule. Returns the runs of others that this makes ready."""
    ids = session.scalars(
        select(JobRun.id).where(JobRun.schedule == name, _LIVE, JobRun.cancel_requested_at.is_(None)).limit(limit)
    ).all()
    return cancel_runs(session, ids, reason=reason, now=now).freed if ids else ()


def prune_slots(session: Executor, *, after: timedelta, limit: int = 1000, now: datetime | None = None) -> int:
    """Delete rows of slots decided longer ago than ``after``; returns their number."""
    old = (
        select(JobScheduleSlot.schedule, JobScheduleSlot.slot_at)
        .where(JobScheduleSlot.decided_at < plus_seconds(ledger_now(), -bindparam("after_seconds", type_=Float())))
        .limit(bindparam("limit", type_=Integer()))
    )
    gone = session.execute(
        delete(JobScheduleSlot)
        .where(tuple_(JobScheduleSlot.schedule, JobScheduleSlot.slot_at).in_(old))
        .returning(JobScheduleSlot.schedule),
        {"after_seconds": after.total_seconds(), "limit": limit, "now": now},
    )
    return len(gone.all())


@cache
def _insert(dialect: str) -> Any:
    new = _NEW.table(dialect)
    columns = [*_NEW.columns, "decided_at"]
    # Without a WHERE, SQLite cannot tell ON CONFLICT from a join's ON after a SELECT.
    rows = select(*(new.c[name] for name in _NEW.columns), ledger_now()).where(
        literal_column("1") == literal_column("1")
    )
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return (
        make(JobScheduleSlot)
        .from_select(columns, rows, include_defaults=False)
        .on_conflict_do_nothing()
        .returning(JobScheduleSlot.schedule, JobScheduleSlot.slot_at)
    )
