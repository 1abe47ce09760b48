"""The beat of a scheduler, by the ledger's clock and never its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from jobs.app import App
from jobs.database.models import JobSchedule
from jobs.events import ScheduleTicked, SlotFired
from jobs.ledger.moment import ledger_moment
from jobs.ledger.schedules import schedules, slots
from jobs.operations.audit.operator import Operator
from jobs.operations.schedules.actions import run_schedule
from jobs.operations.schedules.backfill import backfill_schedule
from jobs.scheduling.schedule import Every
from jobs.scheduling.serialize import write_data
from jobs.scheduling.slots import next_slot
from scheduler.periodic import Periodic
from tests.scheduler.conftest import MovedClock

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def values(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "owner": "operator",
        "kind": "Report",
        "queue": "default",
        "priority": 0,
        "arguments": "{}",
        "arguments_version": 1,
        "max_attempts": 3,
    }


@pytest.fixture
def add(app: App) -> Callable[[Every], datetime]:
    """Adds a schedule called ``one``; the moment it was made, by the ledger's clock."""

    def make(schedule: Every) -> datetime:
        with app.database.write() as connection:
            now = ledger_moment(connection)
            row = {**values("one"), "definition": write_data(schedule)}
            schedules.add(connection, row, next_slot_at=next_slot(schedule, now), now=now)
        return now

    return make


def decided(app: App) -> list[slots.SlotRecord]:
    with app.database.read() as connection:
        return slots.list_slots(connection, "one", limit=5000)[::-1]


@pytest.mark.parametrize("step", [2 * HOUR, -2 * HOUR])
@pytest.mark.parametrize("back_again", [True, False])
def test_a_host_whose_clock_is_stepped_neither_doubles_nor_loses_a_slot(
    app: App, clock: MovedClock, add: Callable[[Every], datetime], step: timedelta, back_again: bool
) -> None:
    """On PostgreSQL the host's clock does not matter; on SQLite it is the ledger's, and every slot it passes
    is decided once, in both directions."""
    every = 10 * MINUTE
    made = add(Every(every, catch_up="all", max_catch_up=1000))
    periodic = Periodic(app)
    for _ in range(6):
        clock.ahead += every
        periodic.beat()
    clock.ahead += step
    for _ in range(3):
        periodic.beat()
    if back_again:
        clock.ahead -= step
    for _ in range(30):
        clock.ahead += every
        periodic.beat()

    with app.database.read() as connection:
        until = schedules.find_schedule(connection, "one").decided_until
    found = decided(app)
    minutes = [made.replace(second=0, microsecond=0) + n * MINUTE for n in range(1, 24 * 60)]
    assert [one.slot_at for one in found] == [one for one in minutes if one.minute % 10 == 0 and one <= until]
    assert {one.state.value for one in found} <= {"fired"}
    assert len({one.run_id for one in found}) == len(found)
    assert bool(found) == (app.database.dialect == "sqlite")


def test_a_beat_that_finds_nothing_due_waits_for_the_next_slot(app: App, add: Callable[[Every], datetime]) -> None:
    add(Every(HOUR))

    assert 0 < Periodic(app).beat() <= 1.0
    assert decided(app) == []


def test_a_beat_emits_what_it_did(app: App, add: Callable[[Every], datetime]) -> None:
    told: list[Any] = []
    app.events.subscribe(SlotFired, told.extend)
    app.events.subscribe(ScheduleTicked, told.extend)
    made = add(Every(SECOND))
    with app.database.write() as connection:
        schedules.change(
            connection, "one", {"decided_until": made - 3 * SECOND, "next_slot_at": made - 2 * SECOND}, now=made
        )

    done = Periodic(app).tick()

    fired = [one for one in told if isinstance(one, SlotFired)]
    assert len(fired) == done.fired >= 2
    assert {one.schedule for one in fired} == {"one"}
    assert all(0 <= one.lateness_seconds < 60 for one in fired)
    (ticked,) = [one for one in told if isinstance(one, ScheduleTicked)]
    assert (ticked.schedules, ticked.fired) == (1, done.fired)


def test_workers_are_woken_when_a_slot_or_an_operator_makes_a_run(app: App, add: Callable[[Every], datetime]) -> None:
    """Without Redis an idle worker listens, and looks by itself only every few seconds."""
    listener = app.database.listener()
    if listener is None:
        return  # SQLite's workers notice commits.
    made = add(Every(SECOND))
    with app.database.write() as connection:
        schedules.change(connection, "one", {"next_slot_at": made - SECOND, "decided_until": made - SECOND}, now=made)
    ways: list[Callable[[], object]] = [
        lambda: Periodic(app).tick(),
        lambda: run_schedule(app, "one", by=Operator("ann")),
        lambda: backfill_schedule(app, "one", [made - HOUR], by=Operator("ann")),
    ]
    listener.wait_for_notify(0)
    try:
        for make_run in ways:
            make_run()

            assert listener.wait_for_notify(30)
    finally:
        listener.close()


def test_more_than_a_batch_is_decided_in_one_beat(app: App) -> None:
    with app.database.write() as connection:
        now = ledger_moment(connection)
        rows = [
            {
                **values(f"s{n}"),
                "definition": write_data(Every(HOUR, anchor=now)),
                "created_at": now,
                "changed_at": now,
                "decided_until": now - SECOND,
                "next_slot_at": now,
            }
            for n in range(450)
        ]
        connection.execute(insert(JobSchedule), rows)

    assert Periodic(app).tick().fired == 450


def test_standby_schedulers_fire_only_overdue_slots(app: App, add: Callable[[Every], datetime]) -> None:
    made = add(Every(HOUR, anchor=None))
    periodic = Periodic(app)
    assert periodic.decide_overdue().schedules == 0

    with app.database.write() as connection:
        late = {"decided_until": made - 3 * HOUR, "next_slot_at": made - 2 * HOUR}
        schedules.change(connection, "one", late, now=made)

    assert periodic.decide_overdue().schedules == 1
