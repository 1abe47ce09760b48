"""A slot whose earlier run has not ended: skipped, held back, or the earlier run is cancelled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from jobs import Job, Limit
from jobs.database.engine import Database
from jobs.database.models import JobRun
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.limits.counts import declare
from jobs.ledger.schedules import fire
from jobs.scheduling.schedule import Every
from jobs.states import Outcome
from tests.book import Book
from tests.jobs.ledger.schedules.firing import HOUR, SECOND, START, Add, became, runs_of, tick
from tests.jobs.ledger.schedules.firing import add as add


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


def end_runs(database: Database, name: str, state: str = "succeeded") -> None:
    with database.write() as connection:
        connection.execute(
            update(JobRun).where(JobRun.schedule == name).values(state=state, finished_at=START, state_at=START)
        )


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
