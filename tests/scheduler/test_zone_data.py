"""Slots that were computed with other zone data are recomputed (K.13)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from jobs import Cron, Job
from jobs.app import App
from jobs.client.declared_schedules import Declared
from jobs.database.models import JobSchedule
from jobs.definition import registry
from jobs.ledger.schedules import schedules
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.schedules.actions import pause_schedule, resume_schedule
from jobs.operations.schedules.edit import new_schedule
from jobs.operations.schedules.views import list_schedules, preview_schedule, show_schedule
from jobs.scheduling.zones import data_version
from scheduler.periodic import Periodic
from scheduler.sync import sync
from scheduler.zone_data import POLL_SECONDS, ZoneData, compute_anew
from tests.scheduler.conftest import MovedClock

HOUR = timedelta(hours=1)
ANN = Operator("ann")
OLD = "2025.2"
VANCOUVER = Cron("0 9 1 * *", timezone="America/Vancouver", catch_up="skip")


class Voyage(Job, kind="zone_data.Voyage"):
    def perform(self) -> None: ...


@pytest.fixture
def both(app: App) -> list[Declared]:
    """A schedule of the code and an operator's, written and then made those of a release with older zone data."""
    registry.register(Voyage, kind="zone_data.Voyage")
    wanted = [Declared("ours", VANCOUVER, Voyage(), __name__, 7)]
    sync(app, wanted)
    new_schedule(app, "theirs", "zone_data.Voyage", {}, {"type": "cron", "expression": "0 9 1 * *",
                 "timezone": "America/Vancouver"}, by=ANN)  # fmt: skip
    age(app, "ours", "theirs")
    return wanted


def age(app: App, *names: str, by: str | None = OLD, shift: timedelta = HOUR) -> None:
    """Let the next slots be ``shift`` later, as the data ``by`` had them."""
    for name in names:
        with app.database.write() as connection:
            was = schedules.find_schedule(connection, name).next_slot_at
            assert was is not None
            connection.execute(
                update(JobSchedule).where(JobSchedule.name == name).values(next_slot_at=was + shift, zone_data=by)
            )


def next_slots(app: App) -> dict[str, tuple[datetime | None, str | None]]:
    with app.database.read() as connection:
        return {one.name: (one.next_slot_at, one.zone_data) for one in schedules.list_schedules(connection)}


def right(app: App) -> datetime:
    with app.database.read() as connection:
        record = schedules.find_schedule(connection, "ours")
        found = schedules.next_slot_of(record)
    assert found is not None
    return found


def test_a_scheduler_that_starts_moves_the_codes_and_operators_slots_and_says_which(
    app: App, both: list[Declared], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="jobs.scheduler"):
        sync(app, both)

    assert next_slots(app) == dict.fromkeys(("ours", "theirs"), (right(app), data_version()))
    told = [vars(one) for one in caplog.records if one.message == "Slot moved, the zone data has changed"]
    assert [(one["schedule"], one["by"], one["tzdata"]) for one in told] == [
        ("ours", OLD, data_version()),
        ("theirs", OLD, data_version()),
    ]
    assert told[0]["was"] == str(right(app) + HOUR)
    assert told[0]["now"] == str(right(app))


def test_a_schedule_of_before_the_upgrade_of_the_tables_is_computed_anew(app: App, both: list[Declared]) -> None:
    age(app, "ours", "theirs", by=None, shift=-HOUR * 2)

    assert [one.name for one in compute_anew(app)] == ["ours", "theirs"]
    assert compute_anew(app) == []


def test_a_slot_that_stays_is_only_marked(app: App, both: list[Declared]) -> None:
    compute_anew(app)
    age(app, "ours", shift=timedelta(0))

    assert compute_anew(app) == []
    assert next_slots(app)["ours"] == (right(app), data_version())


@pytest.mark.parametrize("many", [1, 450])
def test_as_many_as_there_are_move(app: App, both: list[Declared], many: int) -> None:
    compute_anew(app)
    with app.database.write() as connection:
        record = schedules.find_schedule(connection, "theirs")
        columns = ("owner", "kind", "queue", "priority", "arguments", "arguments_version", "max_attempts", "definition")
        row = {name: getattr(record, name) for name in columns}
        for number in range(many):
            schedules.add(
                connection, {**row, "name": f"n{number}"}, next_slot_at=record.next_slot_at, now=record.created_at
            )
        connection.execute(update(JobSchedule).where(JobSchedule.name != "ours").values(zone_data=OLD))
        connection.execute(update(JobSchedule).values(next_slot_at=record.created_at + HOUR))

    assert len(compute_anew(app)) == many + 1
    assert {one for name, one in next_slots(app).items() if name != "ours"} == {(right(app), data_version())}


def test_a_paused_schedule_is_moved_and_resumes_by_the_new_data(app: App, both: list[Declared]) -> None:
    pause_schedule(app, "theirs", by=ANN)

    compute_anew(app)

    assert next_slots(app)["theirs"] == (right(app), data_version())
    age(app, "theirs")
    resume_schedule(app, "theirs", by=ANN)
    assert next_slots(app)["theirs"] == (right(app), data_version())


def test_a_slot_that_the_new_data_puts_in_the_past_is_late_and_not_lost(app: App, both: list[Declared]) -> None:
    compute_anew(app)
    slot = right(app)
    with app.database.write() as connection:
        past = {"decided_until": datetime.now(UTC) - timedelta(days=40), "next_slot_at": slot}
        schedules.change(connection, "theirs", past, now=slot)
        connection.execute(update(JobSchedule).where(JobSchedule.name == "theirs").values(zone_data=OLD))

    compute_anew(app)

    assert Periodic(app).tick().fired == 1


def test_list_show_and_preview_agree_before_a_scheduler_has_moved_anything(app: App, both: list[Declared]) -> None:
    reader = Operator("bob", frozenset({Permission.RUNS_READ, Permission.ARGUMENTS_READ}))
    until = datetime.now(UTC) + timedelta(days=400)

    listed = {one.record.name: one.record.next_slot_at for one in list_schedules(app, reader)}
    shown, _, coming = show_schedule(app, reader, "theirs")
    (planned,) = preview_schedule(app, reader, "theirs", since=None, until=until, limit=1)

    assert listed == {"ours": planned.slot, "theirs": planned.slot}
    assert shown.record.next_slot_at == coming[0].slot == planned.slot


def test_a_leader_checks_the_zone_data_at_once_and_then_each_minute(
    app: App, both: list[Declared], clock: MovedClock
) -> None:
    zone_data = ZoneData(app)

    zone_data.check(leads=False)
    assert next_slots(app)["ours"][1] == OLD
    zone_data.check(leads=True)
    assert next_slots(app)["ours"][1] == data_version()

    age(app, "ours")
    zone_data.check(leads=True)
    assert next_slots(app)["ours"][1] == OLD
    clock.elapsed += POLL_SECONDS
    zone_data.check(leads=True)
    assert next_slots(app)["ours"] == (right(app), data_version())

    age(app, "ours")
    zone_data.check(leads=False)
    zone_data.check(leads=True)
    assert next_slots(app)["ours"][1] == data_version()


def test_a_slot_that_fires_marks_the_next_with_the_data_that_computed_it(app: App, both: list[Declared]) -> None:
    now = datetime.now(UTC)
    with app.database.write() as connection:
        past = {"decided_until": now - timedelta(days=40), "next_slot_at": now - HOUR}
        connection.execute(update(JobSchedule).values(zone_data=OLD, **past))

    Periodic(app).tick()

    assert next_slots(app) == dict.fromkeys(("ours", "theirs"), (right(app), data_version()))
