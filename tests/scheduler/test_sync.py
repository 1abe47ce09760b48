"""The code's schedules in the ledger: it wins over what it owns, and over nothing else."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs import At, Every, Job
from jobs.app import App
from jobs.client.declared_schedules import Declared
from jobs.definition import registry
from jobs.ledger.schedules import schedules, slots
from jobs.operations.audit.operator import Operator
from jobs.operations.schedules import actions as operations
from jobs.scheduling.schedule import Schedule
from scheduler.sync import Synced, sync

HOUR = timedelta(hours=1)
ANN = Operator("ann")


@pytest.fixture
def report() -> Iterator[type[Job]]:
    class SyncReport(Job):
        region: str = "eu"

        def perform(self) -> None:
            pass

    yield SyncReport
    registry.forget("SyncReport")


def one(job: Job, schedule: Schedule, *, name: str = "hourly", module: str = __name__, line: int = 7) -> Declared:
    return Declared(name, schedule, job, module, line)


def find(app: App, name: str = "hourly") -> schedules.ScheduleRecord:
    with app.database.read() as connection:
        return schedules.find_schedule(connection, name)


def test_what_the_code_declares_is_written_once(app: App, report: type[Job]) -> None:
    wanted = [one(report(), Every(HOUR))]

    assert sync(app, wanted) == Synced(added=["hourly"])
    assert sync(app, wanted) == Synced()
    record = find(app)
    assert (record.owner, record.kind, record.place) == ("code", "SyncReport", f"{__name__}:7")
    assert record.schedule == Every(HOUR, name="hourly")


def test_a_change_in_the_code_wins_and_a_pause_stays(app: App, report: type[Job]) -> None:
    sync(app, [one(report(), Every(HOUR))])
    operations.pause_schedule(app, "hourly", by=ANN)

    assert sync(app, [one(report(region="us"), Every(2 * HOUR))]) == Synced(changed=["hourly"])

    record = find(app)
    assert record.schedule == Every(2 * HOUR, name="hourly")
    assert record.arguments == '{"region":"us"}'
    assert record.state == "paused"


def test_a_slot_that_was_due_before_the_change_is_not_lost(app: App, report: type[Job]) -> None:
    sync(app, [one(report(), Every(HOUR))])
    record = find(app)
    with app.database.write() as connection:
        ago = {"decided_until": record.decided_until - HOUR, "next_slot_at": record.decided_until}
        schedules.change(connection, "hourly", ago, now=record.decided_until)

    sync(app, [one(report(), Every(timedelta(days=1)))])

    with app.database.read() as connection:
        (slot,) = slots.list_slots(connection, "hourly")
    assert slot.state == "fired"


def test_an_operators_schedule_of_the_same_name_stays(app: App, report: type[Job]) -> None:
    columns: dict[str, Any] = {"name": "hourly", "kind": "Mine", "queue": "q", "priority": 0, "arguments": "{}"}
    columns |= {"arguments_version": 1, "max_attempts": 1, "definition": '{"type":"every","interval_seconds":60}'}
    operations.create_schedule(app, columns, Every(timedelta(minutes=1)), by=ANN)

    assert sync(app, [one(report(), Every(HOUR))]) == Synced(left=["hourly"])

    assert find(app).kind == "Mine"


def test_a_schedule_that_its_module_no_longer_declares_is_retired(app: App, report: type[Job]) -> None:
    sync(app, [one(report(), Every(HOUR)), one(report(), Every(HOUR), name="other")])

    assert sync(app, [one(report(), Every(HOUR))]) == Synced(retired=["other"])


def test_schedules_of_a_module_that_is_not_imported_here_are_left_alone(app: App, report: type[Job]) -> None:
    assert "not_imported_here" not in sys.modules
    sync(app, [one(report(), Every(HOUR), module="not_imported_here")])

    assert sync(app, []) == Synced()
    assert find(app).name == "hourly"


PAST = datetime(2026, 1, 1, tzinfo=UTC)


# K.18
@pytest.mark.parametrize("schedule", [At(PAST), Every(HOUR, end=PAST)], ids=["at", "end"])
def test_a_schedule_that_is_over_when_it_is_first_seen_is_warned_of_by_name_once(
    schedule: Schedule, app: App, report: type[Job], caplog: pytest.LogCaptureFixture
) -> None:
    wanted = [one(report(), schedule)]

    with caplog.at_level(logging.WARNING, logger="jobs.scheduler"):
        assert sync(app, wanted) == Synced(added=["hourly"], over=["hourly"])
        assert sync(app, wanted) == Synced()

    (told,) = [vars(record) for record in caplog.records]
    assert told["message"] == "Schedule makes no run, its last slot is in the past"
    assert (told["schedule"], told["place"]) == ("hourly", f"{__name__}:7")
    assert "2026-01-01 00:00:00 UTC" in told["when"]


def test_a_schedule_that_is_changed_to_a_moment_that_is_past_is_warned_of(
    app: App, report: type[Job], caplog: pytest.LogCaptureFixture
) -> None:
    sync(app, [one(report(), Every(HOUR))])

    with caplog.at_level(logging.WARNING, logger="jobs.scheduler"):
        assert sync(app, [one(report(), At(PAST))]) == Synced(changed=["hourly"], over=["hourly"])
        assert sync(app, [one(report(region="us"), At(PAST))]) == Synced(changed=["hourly"])

    assert len(caplog.records) == 1


def test_a_moment_to_come_is_not_warned_of(app: App, report: type[Job], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="jobs.scheduler"):
        assert sync(app, [one(report(), At(datetime.now(UTC) + HOUR))]).over == []

    assert caplog.records == []
