"""A slot and its run are one transaction, and a slot fires once: on each dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text, update

from jobs import Job, Limit
from jobs.app import App
from jobs.database.engine import Database
from jobs.database.models import JobRun, JobSchedule
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.limits.counts import declare
from jobs.ledger.schedules import fire, schedules, slot_plan, slots
from jobs.scheduling.schedule import At, Every, Schedule
from jobs.scheduling.serialize import write_data
from jobs.scheduling.slots import next_slot
from jobs.states import Outcome
from tests.book import Book

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


@pytest.fixture
def limited_report(database: Database) -> Iterator[str]:
    """A kind of which one run performs at a time."""

    class FireLimitedReport(Job, limits=Limit(1)):
        def perform(self) -> None: ...

    with database.write() as connection:
        declare(connection, limits_of(["FireLimitedReport"]), now=START)
    yield "FireLimitedReport"
    registry.forget("FireLimitedReport")
    limited_kinds.pop("FireLimitedReport")


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


def end_runs(database: Database, name: str, state: str = "succeeded") -> None:
    with database.write() as connection:
        connection.execute(
            update(JobRun).where(JobRun.schedule == name).values(state=state, finished_at=START, state_at=START)
        )


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


def test_overlap_skip_fires_again_once_the_run_has_ended(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR, overlap="skip"))
    tick(database, HOUR)
    tick(database, 2 * HOUR)
    end_runs(database, "hourly")
    tick(database, 3 * HOUR)

    assert became(database, "hourly") == [(HOUR, "fired"), (2 * HOUR, "skipped"), (3 * HOUR, "fired")]


def test_queue_one_holds_one_slot_until_the_earlier_run_has_ended(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR, overlap="queue_one"))
    tick(database, HOUR)
    tick(database, 2 * HOUR)
    tick(database, 3 * HOUR)
    assert became(database, "hourly") == [(HOUR, "fired"), (3 * HOUR, "skipped")]
    assert len(runs_of(database, "hourly")) == 1

    with database.write() as connection:
        assert fire.fire_released(connection, by="test", now=START + 3 * HOUR).looked_at == 0
    end_runs(database, "hourly")
    with database.write() as connection:
        fire.fire_released(connection, by="test", now=START + 3 * HOUR)

    assert became(database, "hourly") == [(HOUR, "fired"), (2 * HOUR, "fired"), (3 * HOUR, "skipped")]


def test_cancel_running_cancels_what_waits_and_flags_what_runs(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR, overlap="cancel_running"))
    tick(database, HOUR)
    tick(database, 2 * HOUR)

    first, second = runs_of(database, "hourly")
    assert (first.state, second.state) == ("cancelled", "queued")


def test_cancel_running_returns_the_runs_that_get_the_slots_of_the_cancelled(
    database: Database, add: Add, limited_report: str
) -> None:
    book = Book(database, now=START)
    first = book.enqueue(kind=limited_report)
    (performing,) = book.claim_due(kinds=[limited_report])
    add("hourly", Every(HOUR, overlap="cancel_running"), kind=limited_report, queue="default", priority=0)
    tick(database, HOUR)
    book.now = START + HOUR + SECOND
    waits = book.enqueue(kind=limited_report)
    assert book.claim_due(kinds=[limited_report]) == [], "both are parked"
    book.end(performing, Outcome.SUCCEEDED)
    assert (performing.run_id, book.run(waits).hold) == (first, "parked"), "the run of the schedule has the slot"

    freed = tick(database, 2 * HOUR).freed

    assert [one.run_id for one in freed] == [waits]


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


def test_a_schedule_that_cannot_be_read_stops_no_other(database: Database, add: Add) -> None:
    add("good", Every(HOUR))
    add("bad", Every(HOUR))
    with database.write() as connection:
        schedules.change(connection, "bad", {"definition": '{"type": "lunar"}'}, now=START)

    done = tick(database, HOUR)
    later = tick(database, HOUR)

    assert [one.slot.schedule for one in done.decided] == ["good"]
    assert list(done.broken) == ["bad"]
    assert later.looked_at == 0
    with database.read() as connection:
        assert schedules.find_schedule(connection, "bad").state == "broken"


def test_a_paused_schedule_is_not_due(database: Database, add: Add) -> None:
    add("hourly", Every(HOUR))
    with database.write() as connection:
        schedules.change(connection, "hourly", {"paused_at": START}, now=START)

    assert tick(database, 2 * HOUR).looked_at == 0


@pytest.mark.parametrize("exist", [100, 10_000])
def test_a_tick_reads_what_is_due_by_index_however_many_exist(database: Database, exist: int) -> None:
    """Ten are due in each case: the plan must be a search of the partial index, for reading and for looking."""
    far = START + timedelta(days=365)
    with database.write() as connection:
        many = [
            {
                **row(f"s{n}", Every(HOUR)),
                "created_at": START,
                "changed_at": START,
                "decided_until": START,
                "next_slot_at": START + HOUR if n < 10 else far,
            }
            for n in range(exist)
        ]
        connection.execute(JobSchedule.__table__.insert(), many)
        connection.execute(text("ANALYZE"))
    seen: list[str] = []

    with database.write() as connection:
        event.listen(connection, "before_cursor_execute", lambda c, k, statement, *rest: seen.append(statement))
        done = fire.fire_due(connection, by="test", now=START + HOUR)
        ask = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
        due = JobSchedule.__table__.c
        query = str(
            select(due.name)
            .where(text("next_slot_at is not null and paused_at is null"), due.next_slot_at <= START)
            .order_by(due.next_slot_at)
            .limit(200)
            .compile(connection, compile_kwargs={"literal_binds": True})
        )
        plan = "\n".join(str(line) for line in connection.execute(text(ask + query)))

    assert len(done.decided) == 10
    # Lock the due, the moment, their live runs, the slots, the runs, and what comes next: whatever exists.
    assert len(seen) <= 8
    if exist > 100:
        assert "ix_job_schedules_due" in plan


@pytest.mark.parametrize("column", ["decided_until", "created_at", "changed_at"])
def test_a_schedule_whose_row_cannot_be_read_is_broken_and_the_others_fire(
    database: Database, add: Add, column: str
) -> None:
    # K.6
    add("bad", Every(MINUTE))
    add("good", Every(MINUTE))
    with database.write() as connection:
        value = "infinity" if database.dialect == "postgresql" else "next week"
        connection.execute(text(f"update job_schedules set {column} = '{value}' where name = 'bad'"))

    first, second = tick(database, MINUTE), tick(database, 2 * MINUTE)

    assert list(first.broken) == ["bad"]
    assert f"{column} holds {value}" in first.broken["bad"]
    assert second.broken == {}
    assert became(database, "good") == [(MINUTE, "fired"), (2 * MINUTE, "fired")]
    with database.read() as connection:
        assert schedules.find_schedule(connection, "bad").state == "broken"
