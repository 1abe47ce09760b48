"""A slot and its run are one transaction, and a slot fires once: on each dialect."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs.app import App
from jobs.database.engine import Database
from jobs.database.models import JobRun
from jobs.ledger.schedules import fire, schedules, slot_plan, slots
from jobs.scheduling.schedule import At, Every
from tests.jobs.ledger.schedules.firing import HOUR, MINUTE, SECOND, START, Add, became, runs_of, tick
from tests.jobs.ledger.schedules.firing import add as add


def test_a_due_slot_becomes_a_row_and_a_run(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR))

    tick(database, HOUR + SECOND)

    assert became(database, "hourly") == [(HOUR, "fired")]
    (run,) = runs_of(database, "hourly")
    assert (run.kind, run.queue, run.priority, run.max_attempts) == ("Report", "reports", 3, 4)
    assert run.scheduled_for == START + HOUR
    assert run.run_at == START + HOUR + SECOND
    with database.read() as connection:
        record = schedules.find_schedule(connection, "hourly")
        (slot,) = slots.list_slots(connection, "hourly")
        assert connection.scalar(select(JobRun.arguments)) == {"share": 1.0}
    assert slot.run_id == run.id == record.last_run_id
    assert record.next_slot_at == START + 2 * HOUR


def test_a_second_scheduler_finds_nothing_left(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR))
    tick(database, HOUR)

    again = tick(database, HOUR)

    assert again.looked_at == 0
    assert len(runs_of(database, "hourly")) == 1


def test_a_slot_that_has_a_row_makes_no_run_even_where_the_schedule_forgot(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR))
    tick(database, HOUR)
    with database.write() as connection:
        schedules.drop(connection, ["hourly"])
    add("hourly", Every(HOUR))

    done = tick(database, HOUR)

    assert (done.looked_at, done.decided) == (1, [])
    assert len(runs_of(database, "hourly")) == 1


def test_a_transaction_that_is_rolled_back_leaves_neither_slot_nor_run(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR))
    with database.engine.connect() as connection, connection.begin() as transaction:
        assert fire.fire_due(connection, by="test", now=START + HOUR).decided
        transaction.rollback()

    assert (became(database, "hourly"), runs_of(database, "hourly")) == ([], [])
    assert len(tick(database, HOUR).decided) == 1


def test_a_schedule_that_another_scheduler_locks_is_skipped(app: App, add: Add) -> None:
    if app.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer")
    add("a", Every(HOUR))
    add("b", Every(HOUR))

    with app.database.write() as connection:
        schedules.lock(connection, "a")
        done = tick(app.database, HOUR)

    assert [one.slot.schedule for one in done.decided] == ["b"]


def test_after_downtime_the_newest_fires_and_the_rest_are_on_record(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR, catch_up="latest"))

    tick(database, 4 * HOUR + MINUTE)

    assert became(database, "hourly") == [(n * HOUR, "missed") for n in (1, 2, 3)] + [(4 * HOUR, "fired")]


def test_a_month_of_missed_seconds_is_a_number_in_the_oldest_row(database: Database, add: Add) -> None:
    add("beat", Every(SECOND, catch_up="skip"))
    month = timedelta(days=30)

    tick(database, month)

    rows = became(database, "beat")
    assert len(rows) == slot_plan.KEEP
    with database.read() as connection:
        oldest = slots.list_slots(connection, "beat", limit=5000)[-1]
    assert oldest.older_missed + len(rows) == month // SECOND


def test_a_clock_that_was_set_back_opens_no_slot_again(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR))
    tick(database, 2 * HOUR)
    before = became(database, "hourly")
    for minutes in range(0, 180, 10):
        tick(database, minutes * MINUTE)

    assert [one for one in became(database, "hourly") if one[0] <= 2 * HOUR] == before
    assert [one for one, state in became(database, "hourly") if state == "fired"] == [2 * HOUR]
    tick(database, 3 * HOUR)
    assert became(database, "hourly")[-1] == (3 * HOUR, "fired")


def test_a_run_with_jitter_starts_later_than_its_slot(database: Database, add: Add) -> None:
    add("spread", Every(HOUR, jitter=30 * MINUTE))

    tick(database, HOUR)

    (run,) = runs_of(database, "spread")
    assert run.scheduled_for == START + HOUR
    assert START + HOUR < run.run_at < START + HOUR + 30 * MINUTE


def test_an_at_schedule_fires_once_and_is_over(database: Database, add: Add) -> None:
    add("once", At(START + HOUR))

    tick(database, HOUR)
    tick(database, 5 * HOUR)

    assert became(database, "once") == [(HOUR, "fired")]
    with database.read() as connection:
        assert schedules.find_schedule(connection, "once").state == "ended"
