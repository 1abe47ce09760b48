"""Which schedules a tick reads: those that are due, by index, and those that cannot be read stop no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event, select, text

from jobs.database.engine import Database
from jobs.database.models import JobSchedule
from jobs.ledger.schedules import fire, schedules
from jobs.scheduling.schedule import Every
from tests.jobs.ledger.schedules.firing import HOUR, MINUTE, START, Add, became, row, tick
from tests.jobs.ledger.schedules.firing import add as add


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


@pytest.mark.parametrize("exist", [100, 3_000])
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
