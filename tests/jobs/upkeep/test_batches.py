"""What workers of an older release end uncounted: the sweep finishes it, and says so; other wrong counts it reports."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import update

import jobs
from jobs import Job, RunState
from jobs.database.models import JobRun
from jobs.ledger.batches.find import broken_counts
from jobs.operations.insight.workflows import workflow_faults
from jobs.testing import Ledger
from jobs.upkeep.batches import BatchSweep

MINUTE = timedelta(minutes=1)


class SweptPart(Job):
    def perform(self) -> int:
        return 1


class SweptSum(Job):
    def perform(self) -> list[Any]:
        return [str(one)[:1] for one in self.run.gather("parts", [SweptPart(), SweptPart()], on_dead="collect")]


class SweptTold(Job):
    what: str
    told: ClassVar[list[str]] = []

    def perform(self) -> None:
        self.told.append(self.what)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    SweptTold.told = []
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        yield ledger


def end_as_an_older_release_does(ledger: Ledger, *run_ids: Any, state: str = "succeeded") -> None:
    """End runs without a look at their batches, or at the runs that wait for them."""
    with ledger.app.database.write() as connection:
        connection.execute(
            update(JobRun)
            .where(JobRun.id.in_(run_ids))
            .values(state=state, cause="exhausted" if state == "dead" else None, finished_at=JobRun.state_at)
        )


def sweep(ledger: Ledger) -> None:
    ledger.advance(4 * MINUTE)  # Longer than an earlier sweep keeps the lead.
    BatchSweep(ledger.app).turn()


def test_a_join_whose_children_ended_uncounted_goes_on(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    total = ledger.perform(SweptSum()).run
    first, second = ledger.runs(SweptPart)
    end_as_an_older_release_does(ledger, first.id)
    ledger.perform(second.id)
    assert total.held_on == "children:parts"
    assert ledger.drain() == []

    with caplog.at_level(logging.WARNING, "jobs"):
        sweep(ledger)
        ledger.drain()

    assert jobs.find(total.id).state is RunState.SUCCEEDED
    assert "Batch counted anew: its last members ended uncounted" in caplog.messages
    (said,) = workflow_faults(ledger.app)
    assert "(parts) was counted anew today: a worker of an older release ended its members" in said


def test_a_nested_batch_is_closed_from_the_inside_and_its_callbacks_come_once(ledger: Ledger) -> None:
    told: dict[str, Any] = {f"on_{what}": [SweptTold(what=what)] for what in ("success", "dead", "end")}
    with jobs.batch("outer", **told) as outer, outer.batch("inner") as inner:
        ids = inner.add_many(SweptPart() for _ in range(2))
    end_as_an_older_release_does(ledger, ids[0], state="dead")
    end_as_an_older_release_does(ledger, ids[1])

    for _ in range(3):
        sweep(ledger)
        ledger.drain()

    assert sorted(SweptTold.told) == ["dead", "end"]
    assert [jobs.find_batch(one.id).state for one in (outer, inner)] == ["dead", "dead"]
    with ledger.app.database.read() as connection:
        assert list(broken_counts(connection)) == []


def test_a_count_that_is_wrong_while_members_live_is_reported_and_left(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    with jobs.batch("wrong") as batch:
        ids = batch.add_many(SweptPart() for _ in range(3))
    end_as_an_older_release_does(ledger, ids[0])

    with caplog.at_level(logging.WARNING, "jobs"):
        sweep(ledger)

    (record,) = [one for one in caplog.records if one.getMessage() == "Count of a batch is wrong"]
    assert (record.pending, record.members_left) == (3, 2)  # type: ignore[attr-defined]
    assert jobs.find_batch(batch.id).pending == 3
    assert "counts 3 pending members, but has 2" in workflow_faults(ledger.app)[0]


def test_a_batch_in_order_is_left_alone(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    with jobs.batch("well") as batch:
        ids = batch.add_many(SweptPart() for _ in range(2))
    ledger.perform(ids[0])

    with caplog.at_level(logging.WARNING, "jobs"):
        sweep(ledger)

    assert (jobs.find_batch(batch.id).pending, caplog.messages) == (1, [])


def test_runs_whose_parents_ended_untold_go_on_or_are_cancelled(ledger: Ledger) -> None:
    good, bad, live = (SweptPart().enqueue() for _ in range(3))
    ready = SweptTold(what="ready").enqueue(after=[good])
    cancelled = SweptTold(what="cancelled").enqueue(after=[bad])
    next_ = SweptTold(what="next").enqueue(after=[cancelled], on_parent_dead="run")
    held = SweptTold(what="held").enqueue(after=[bad], on_parent_dead="hold")
    waits = SweptTold(what="waits").enqueue(after=[good, live])
    end_as_an_older_release_does(ledger, good.id)
    end_as_an_older_release_does(ledger, bad.id, state="dead")

    sweep(ledger)

    holds = {one: jobs.find(run.id).hold for one, run in (("ready", ready), ("held", held), ("waits", waits))}
    assert holds == {"ready": None, "held": "waiting", "waits": "waiting"}
    assert jobs.find(cancelled.id).state is RunState.CANCELLED
    assert jobs.find(next_.id).hold is None
