"""Pauses of queues and kinds, as conditions on runs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, or_, select

from jobs.database.models import JobKind, JobQueue, JobRun
from jobs.database.sql import ledger_now


def is_paused() -> ColumnElement[bool]:
    """Whether a run's queue or kind is paused at this moment."""
    return or_(_has_pause(JobQueue, JobRun.queue), _has_pause(JobKind, JobRun.kind))


def paused_names(table: type[JobQueue] | type[JobKind]) -> Select[str]:
    """The names of the queues or kinds that are paused at this moment, as text."""
    is_on = or_(table.paused_until.is_(None), table.paused_until > ledger_now())
    return select(cast(table.name, Text)).where(table.paused_at.is_not(None), is_on)


def _has_pause(table: type[JobQueue] | type[JobKind], name: Any) -> ColumnElement[bool]:
    return paused_names(table).where(table.name == name).correlate(JobRun).exists()
