"""Pauses of queues and kinds, as conditions on their rows and on runs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, cast, or_, select

from jobs.database.models import JobKind, JobQueue, JobRun
from jobs.database.sql import ledger_now


def is_paused() -> ColumnElement[bool]:
    """Whether a run's queue or kind is paused at this moment."""
    return or_(_has_pause(JobQueue, JobRun.queue), _has_pause(JobKind, JobRun.kind))


def paused_names(table: type[JobQueue] | type[JobKind]) -> Select[str]:
    """The names of the queues or kinds that are paused at this moment, as text."""
    return select(cast(table.name, Text)).where(is_in_force(table))


def is_in_force(table: type[JobQueue] | type[JobKind]) -> ColumnElement[bool]:
    """Whether a row of queues or kinds has a pause that is in force now."""
    return and_(table.paused_at.is_not(None), or_(table.paused_until.is_(None), table.paused_until > ledger_now()))


def _has_pause(table: type[JobQueue] | type[JobKind], name: Any) -> ColumnElement[bool]:
    return paused_names(table).where(table.name == name).correlate(JobRun).exists()
