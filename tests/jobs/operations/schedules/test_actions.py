"""Pause, resume, edit, backfill: what they do to slots."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.app import App
from jobs.errors import Conflict, DefinitionError, NotFound
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import schedules, slots
from jobs.ledger.schedules.fire import fire_due
from jobs.operations.audit.operator import Operator
from jobs.operations.schedules import actions as operations
from jobs.operations.schedules import backfill, views
from jobs.scheduling.schedule import Every, Schedule
from jobs.scheduling.serialize import write_data
from jobs.scheduling.slots import next_slot

ANN = Operator("ann@host")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def columns(name: str, schedule: Schedule) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "Report",
        "queue": "default",
        "priority": 0,
        "arguments": "{}",
        "arguments_version": 1,
        "max_attempts": 3,
        "definition": write_data(schedule),
    }


def moment(app: App) -> datetime:
    with app.database.read() as connection:
        return ledger_moment(connection)


def hourly(app: App, *, since: timedelta, owner: str = "operator", **policy: Any) -> datetime:
    """A schedule of full hours from the moment it was made, ``since`` ago; that moment."""
    made = moment(app) - since
    schedule = Every(HOUR, anchor=made, **policy)
    code = {"module": "shop", "place": "shop:3"} if owner == "code" else {}
    with app.database.write() as connection:
        values = {**columns("hourly", schedule), "owner": owner, **code}
        schedules.add(connection, values, next_slot_at=next_slot(schedule, made), now=made)
    return made


def tick(app: App) -> None:
    with app.database.write() as connection:
        fire_due(connection, by="test")


def became(app: App, made: datetime) -> list[tuple[int, str]]:
    with app.database.read() as connection:
        found = slots.list_slots(connection, "hourly")[::-1]
    return [((one.slot_at - made) // HOUR, one.state.value) for one in found]


def back_date_pause(app: App, at: datetime) -> None:
    with app.database.write() as connection:
        schedules.change(connection, "hourly", {"paused_at": at}, now=at)


def test_slots_of_a_pause_are_skipped_and_those_before_it_are_not(app: App) -> None:
    made = hourly(app, since=4 * HOUR + MINUTE)
    operations.pause_schedule(app, "hourly", by=ANN, reason="maintenance")
    back_date_pause(app, made + 2 * HOUR + MINUTE)
    tick(app)
    assert became(app, made) == []

    assert operations.resume_schedule(app, "hourly", by=ANN)

    assert became(app, made) == [(1, "missed"), (2, "fired"), (3, "skipped"), (4, "skipped")]
    tick(app)
    assert len(became(app, made)) == 4


def test_resume_with_catch_up_treats_a_pause_as_a_downtime(app: App) -> None:
    made = hourly(app, since=3 * HOUR + MINUTE, catch_up="all")
    operations.pause_schedule(app, "hourly", by=ANN)
    back_date_pause(app, made)

    operations.resume_schedule(app, "hourly", by=ANN, catches_up=True)
    tick(app)

    assert became(app, made) == [(1, "fired"), (2, "fired"), (3, "fired")]


def test_pausing_twice_is_said_and_changes_nothing(app: App) -> None:
    hourly(app, since=MINUTE)

    assert operations.pause_schedule(app, "hourly", by=ANN, reason="first")
    assert not operations.pause_schedule(app, "hourly", by=ANN, reason="second")
    with app.database.read() as connection:
        record = schedules.find_schedule(connection, "hourly")
    assert (record.state, record.paused_by, record.pause_reason) == ("paused", "ann@host", "first")
    assert operations.resume_schedule(app, "hourly", by=ANN)
    assert not operations.resume_schedule(app, "hourly", by=ANN)


def test_an_edit_settles_what_was_due_and_opens_no_slot_of_the_past(app: App) -> None:
    made = hourly(app, since=2 * HOUR + MINUTE, catch_up="all")

    operations.edit_schedule(app, "hourly", {"interval_seconds": 1.0}, by=ANN)

    assert became(app, made) == [(1, "fired"), (2, "fired")]
    with app.database.read() as connection:
        record = schedules.find_schedule(connection, "hourly")
    assert record.schedule == Every(SECOND, anchor=made, name=record.schedule.name, catch_up="all")
    assert record.next_slot_at is not None
    assert moment(app) - record.next_slot_at < MINUTE


def test_an_edit_may_change_the_type_and_keeps_the_policies(app: App) -> None:
    hourly(app, since=MINUTE, overlap="skip")

    view = operations.edit_schedule(app, "hourly", {"type": "cron", "expression": "0 3 * * *"}, by=ANN)

    assert view.record.schedule.overlap == "skip"
    assert view.when == "At 03:00 every day (UTC)"


@pytest.mark.parametrize("changes", [{"interval_seconds": 0.1}, {"timezone": "UTC"}, {"end": "2001-01-01T00:00+00:00"}])
def test_an_invalid_edit_changes_nothing(app: App, changes: dict[str, Any]) -> None:
    hourly(app, since=MINUTE)
    with app.database.read() as connection:
        before = schedules.find_schedule(connection, "hourly")

    with pytest.raises(DefinitionError):
        operations.edit_schedule(app, "hourly", changes, by=ANN)

    with app.database.read() as connection:
        assert schedules.find_schedule(connection, "hourly") == before


def test_schedules_of_the_code_may_be_paused_but_not_changed(app: App) -> None:
    hourly(app, since=MINUTE, owner="code")

    with pytest.raises(Conflict, match="shop:3"):
        operations.edit_schedule(app, "hourly", {"interval_seconds": 60.0}, by=ANN)
    with pytest.raises(Conflict, match="shop:3"):
        operations.delete_schedule(app, "hourly", by=ANN)
    assert operations.pause_schedule(app, "hourly", by=ANN)
    operations.delete_schedule(app, "hourly", by=ANN, is_forced=True)
    with pytest.raises(NotFound):
        views.show_schedule(app, ANN, "hourly")


def test_a_name_is_given_once(app: App) -> None:
    schedule = Every(HOUR)
    operations.create_schedule(app, columns("hourly", schedule), schedule, by=ANN)

    with pytest.raises(Conflict, match="already"):
        operations.create_schedule(app, columns("hourly", schedule), schedule, by=ANN)


def test_backfill_makes_the_runs_of_slots_that_made_none_and_only_once(app: App) -> None:
    made = hourly(app, since=4 * HOUR + MINUTE, catch_up="latest")
    tick(app)
    assert became(app, made) == [(1, "missed"), (2, "missed"), (3, "missed"), (4, "fired")]

    # From before the schedule was made.
    planned = backfill.plan_backfill(app, ANN, "hourly", since=made - 2 * HOUR, until=moment(app))
    assert [(one - made) // HOUR for one in planned] == [-2, -1, 0, 1, 2, 3]
    assert backfill.backfill_schedule(app, "hourly", planned, by=ANN) == 6

    assert became(app, made) == [(n, "backfilled") for n in range(-2, 4)] + [(4, "fired")]
    assert backfill.backfill_schedule(app, "hourly", planned, by=ANN) == 0
    assert backfill.plan_backfill(app, ANN, "hourly", since=made - 2 * HOUR, until=moment(app)) == []


def test_backfill_never_takes_a_slot_to_come(app: App) -> None:
    made = hourly(app, since=2 * HOUR + MINUTE, catch_up="all")

    planned = backfill.plan_backfill(app, ANN, "hourly", since=made + SECOND, until=made + 100 * HOUR)

    # Nothing is decided yet: the scheduler will fire what is due.
    assert planned == []


def test_too_much_to_backfill_is_refused(app: App) -> None:
    made = hourly(app, since=MINUTE)

    with pytest.raises(Conflict, match="10,000"):
        backfill.plan_backfill(app, ANN, "hourly", since=made - 10_001 * HOUR, until=moment(app))


def test_a_run_by_hand_stands_beside_the_slots(app: App) -> None:
    hourly(app, since=MINUTE)

    run_id = operations.run_schedule(app, "hourly", by=ANN)

    _, past, _ = views.show_schedule(app, ANN, "hourly")
    assert past == []
    with app.database.read() as connection:
        assert slots.live_runs(connection, ["hourly"]) == {"hourly": 1}
    assert run_id


def test_a_state_is_looked_for_beyond_the_first_page(app: App) -> None:
    now = moment(app)
    with app.database.write() as connection:
        for number in range(9):
            values = {**columns(f"n{number}", Every(HOUR, anchor=now)), "owner": "operator"}
            schedules.add(connection, values, next_slot_at=now + HOUR, now=now)
    for name in ("n5", "n7", "n8"):
        operations.pause_schedule(app, name, by=ANN)

    first = views.list_schedules(app, ANN, state="paused", limit=2)
    second = views.list_schedules(app, ANN, state="paused", limit=2, after=first[-1].record.name)

    assert [one.record.name for one in first + second] == ["n5", "n7", "n8"]
