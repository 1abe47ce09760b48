"""Recomputes next slots that were computed with other time zone data.

A government changes its clocks, the ``tzdata`` package follows, and a slot computed before is an hour off.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select, update

from jobs.database.models import JobSchedule
from jobs.database.sql import Executor
from jobs.errors import DefinitionError
from jobs.ledger.schedules.schedules import ScheduleRecord, lock_computed_elsewhere, next_slot_of
from jobs.scheduling.zones import data_version

BATCH = 200
"""Schedules computed in one transaction. Source: as for due ones."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A schedule whose next slot differs by this process's zone data; ``by`` is the version that computed it."""

    name: str
    was: datetime | None
    now: datetime | None
    by: str | None


def is_computed_elsewhere(session: Executor) -> bool:
    """Whether a schedule's next slot was computed with other zone data than this process has."""
    return bool(session.scalar(select(exists().where(JobSchedule.zone_data.is_distinct_from(data_version())))))


def move_slots(session: Executor, *, limit: int = BATCH) -> tuple[int, list[Moved]]:
    """Compute up to ``limit`` such slots again; returns how many were read, and those that moved.

    Skips schedules that another scheduler has locked: it writes them itself.
    """
    records = lock_computed_elsewhere(session, limit=limit)
    moved = []
    for record in records:
        coming = _next_slot(record)
        if coming != record.next_slot_at:
            moved.append(Moved(record.name, record.next_slot_at, coming, record.zone_data))
        session.execute(
            update(JobSchedule)
            .where(JobSchedule.name == record.name)
            .values(next_slot_at=coming, zone_data=data_version())
        )
    return len(records), moved


def _next_slot(record: ScheduleRecord) -> datetime | None:
    try:
        return next_slot_of(record)
    except DefinitionError:
        # Broken: the tick that reads it will report it.
        return record.next_slot_at
