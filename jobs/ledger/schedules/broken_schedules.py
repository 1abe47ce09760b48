"""Marks schedules whose row cannot be read as broken, so that they make no runs and block no other schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from sqlalchemy import update

from jobs.database.models import JobSchedule
from jobs.database.sql import Executor
from jobs.formats.unreadable import unreadable_in
from jobs.ledger.runs.unreadable_claims import describe
from jobs.ledger.schedules.schedules import ScheduleRecord


def problem_of(record: ScheduleRecord) -> str | None:
    """The unreadable values of a schedule's row, in a sentence; None if there are none."""
    names = tuple(one.name for one in fields(record))
    found = unreadable_in(names, tuple(getattr(record, name) for name in names))
    return f"Its row cannot be read: {describe(found)}"[:500] if found else None


def set_aside_schedules(session: Executor, problems: Mapping[str, str | None]) -> None:
    """Mark these schedules as broken: no slot of theirs is decided until they are written again.

    Their rows do not change otherwise.
    """
    for name, problem in problems.items():
        session.execute(
            update(JobSchedule)
            .where(JobSchedule.name == name)
            .values(next_slot_at=None, held_slot_at=None, problem=problem)
        )
