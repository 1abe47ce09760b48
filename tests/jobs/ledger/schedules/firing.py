"""Schedules at a moment of the tests' own, and the runs and slots that a tick makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from jobs.database.engine import Database
from jobs.database.models import JobRun
from jobs.ledger.schedules import fire, schedules, slots
from jobs.scheduling.schedule import Schedule
from jobs.scheduling.serialize import write_data
from jobs.scheduling.slots import next_slot

START = datetime(2026, 5, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
Add = Callable[..., None]


@pytest.fixture
def add(database: Database) -> Add:
    """``add("nightly", Every(…))``: a schedule whose slots count from START."""

    def make(name: str, schedule: Schedule, *, since: datetime = START, **columns: Any) -> None:
        with database.write() as connection:
            values = {**row(name, schedule), **columns}
            added = schedules.add(connection, values, next_slot_at=next_slot(schedule, since), now=since)
            assert added

    return make


def row(name: str, schedule: Schedule) -> dict[str, Any]:
    return {
        "name": name,
        "owner": "operator",
        "kind": "Report",
        "queue": "reports",
        "priority": 3,
        "arguments": '{"share":1.0}',
        "arguments_version": 2,
        "max_attempts": 4,
        "definition": write_data(schedule),
    }


def tick(database: Database, after: timedelta) -> fire.Round:
    with database.write() as connection:
        return fire.fire_due(connection, by="test", now=START + after)


def became(database: Database, name: str) -> list[tuple[timedelta, str]]:
    """What became of each slot, oldest first, as spans from START."""
    with database.read() as connection:
        return [(one.slot_at - START, one.state.value) for one in slots.list_slots(connection, name, limit=5000)][::-1]


def runs_of(database: Database, name: str) -> list[Any]:
    with database.read() as connection:
        return list(
            connection.execute(select(JobRun).where(JobRun.schedule == name).order_by(JobRun.scheduled_for)).all()
        )
