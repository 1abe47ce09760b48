"""Gather: children made once, waited for without a thread, and joined in order, however they end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

import jobs
from jobs import Job, Outcome, RunState
from jobs.database.models import JobBatch
from jobs.errors import ChildDead
from jobs.ledger.batches.gather import child_ids
from jobs.ledger.effects.steps import forget_steps
from jobs.ledger.runs import claim as claiming
from jobs.ledger.runs.prune import prune_ended
from jobs.ledger.runs.replay import reopen
from jobs.runtime import fault_points
from jobs.testing import Crash, Ledger

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class GatherPart(Job):
    n: int

    def perform(self) -> Any:
        if self.n < 0:
            raise jobs.GiveUp(f"no {self.n}")
        return self.n * self.n


class GatherAll(Job):
    numbers: tuple[int, ...]
    on_dead: str = "raise"

    def perform(self) -> Any:
        parts = self.run.gather("parts", [GatherPart(n=n) for n in self.numbers], on_dead=self.on_dead)  # type: ignore[arg-type]
        return self.run.once("sum", lambda: [one if isinstance(one, int) else str(one)[:30] for one in parts])


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        yield ledger


def batches(ledger: Ledger) -> list[Any]:
    with ledger.app.database.read() as connection:
        return [
            tuple(row)
            for row in connection.execute(text("select total, pending, dead, cancelled from job_batches order by id"))
        ]


def test_a_run_waits_for_its_children_and_joins_their_results_in_order(ledger: Ledger) -> None:
    first = ledger.perform(GatherAll(numbers=(3, 1, 2)))

    assert (first.outcome, first.run.charged, first.run.held_on) == (Outcome.SUSPENDED, 0, "children:parts")
    assert ledger.drain()[-1].run.result == [9, 1, 4]
    assert batches(ledger) == [(3, 0, 0, 0)]
    assert [one.outcome for one in jobs.attempts(first.run.id)] == [Outcome.SUSPENDED, Outcome.SUCCEEDED]
    children = ledger.runs(GatherPart)
    assert {(one.parent_id, one.root_id) for one in children} == {(first.run.id, first.run.id)}
    assert sorted(one.id for one in children) == [*map(child_ids(_gather(ledger)), range(3))]


def test_the_ids_of_children_never_change() -> None:
    """A worker of one release goes on with what another's has begun: with other ids it would make children twice."""
    made = child_ids(UUID("0190b0a0-1234-7abc-8def-0123456789ab"))

    assert [str(made(place)) for place in (0, 1, 256, 99_999)] == [
        "0190b0a0-1234-7000-8028-a61f87368f28",
        "0190b0a0-1234-7000-805f-c861c9eba806",
        "0190b0a0-1234-7001-803e-2ccdbb32cce1",
        "0190b0a0-1234-7186-a7d0-d4c0c58781b9",
    ]


class GatherRead(Job):
    def perform(self) -> int:
        return sum(self.run.gather("parts", (GatherPart(n=n) for n in counted())))


READ: list[int] = []


def counted() -> Iterator[int]:
    for n in range(3):
        READ.append(n)
        yield n


def test_a_generator_is_read_by_the_attempt_that_makes_the_children_only(ledger: Ledger) -> None:
    READ.clear()
    ledger.perform(GatherRead())

    assert ledger.drain()[-1].run.result == 5
    assert READ == [0, 1, 2]


def _gather(ledger: Ledger) -> Any:
    with ledger.app.database.read() as connection:
        return connection.execute(JobBatch.__table__.select()).one().id


def test_a_dead_child_ends_the_run_and_a_replay_of_both_succeeds(ledger: Ledger, monkeypatch: Any) -> None:
    run_id = ledger.perform(GatherAll(numbers=(1, -1, 2, -2))).run.id

    last = ledger.drain()[-1]

    assert isinstance(last.error, ChildDead)
    assert [one.error_message for one in last.error.children] == ["no -1", "no -2"]
    assert (last.run.state, last.run.cause) == (RunState.DEAD, jobs.Cause.GAVE_UP)
    assert batches(ledger) == [(4, 0, 2, 0)]
    monkeypatch.setattr(GatherPart, "perform", lambda self: "mended")
    with ledger.app.database.write() as connection:
        reopen(connection, [one.id for one in last.error.children])
        reopen(connection, [run_id])
    assert batches(ledger) == [(4, 2, 0, 0)]
    assert [one.run.result for one in ledger.drain() if one.run.id == run_id][-1] == [1, "mended", 4, "mended"]


def test_with_collect_dead_children_are_in_their_places(ledger: Ledger) -> None:
    ledger.perform(GatherAll(numbers=(1, -1), on_dead="collect"))

    assert ledger.drain()[-1].run.result == [1, "1 of 2 children of step 'parts'"[:30]]


def test_a_cancelled_or_expired_child_frees_the_run_too(ledger: Ledger) -> None:
    ledger.perform(GatherAll(numbers=(1, 2), on_dead="collect"))
    first, second = ledger.runs(GatherPart)

    jobs.cancel(first.id)
    ledger.perform(second.id)
    (last,) = ledger.drain()

    assert batches(ledger) == [(2, 0, 0, 1)]
    assert last.run.state is RunState.SUCCEEDED


def test_an_empty_gather_returns_at_once(ledger: Ledger) -> None:
    done = ledger.perform(GatherAll(numbers=()))

    assert (done.outcome, done.run.result) == (Outcome.SUCCEEDED, [])


def test_gathers_nest_and_async_jobs_gather(ledger: Ledger) -> None:
    class GatherDeep(Job):
        depth: int

        async def perform(self) -> Any:
            if self.depth == 0:
                return 1
            below = [GatherDeep(depth=self.depth - 1) for _ in range(3)]
            return sum(await self.run.gather_async("below", below))

    run_id = GatherDeep(depth=3).enqueue().id

    ledger.drain()

    assert jobs.find(run_id).result == 27
    assert len(ledger.runs(GatherDeep)) == 1 + 3 + 9 + 27


@pytest.mark.parametrize("point", [one for one in fault_points.POINTS if one.startswith("gather")])
def test_a_process_that_dies_between_two_commits_makes_no_child_twice(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setattr("jobs.runtime.gather.CHUNK", 2)
    died: list[str] = []

    def die(reached: str) -> None:
        # The second time at a point that it comes to several times: some chunks are there, and some are not.
        died.append(reached)
        if reached == point and died.count(point) == (2 if point == "gather:children" else 1):
            raise Crash

    monkeypatch.setattr(fault_points, "on_reached", die)
    run_id = GatherAll(numbers=(0, 1, 2, 3, 4)).enqueue().id

    ledger.drain(advance=timedelta(minutes=10))

    assert jobs.find(run_id).result == [0, 1, 4, 9, 16]
    assert len(ledger.runs(GatherPart)) == 5
    assert batches(ledger) == [(5, 0, 0, 0)]


def test_a_zombie_makes_no_children(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(point: str) -> None:
        if point == "gather:begun":
            monkeypatch.setattr(fault_points, "on_reached", None)
            with ledger.app.database.write() as connection:
                connection.execute(text("update job_runs set token = null, lease_until = null, state = 'queued'"))
                claiming.claim(connection, [run_id], kinds=["GatherAll"], worker="other", lease=DAY)

    monkeypatch.setattr(fault_points, "on_reached", lose)
    run_id = GatherAll(numbers=(1, 2)).enqueue().id

    lost = ledger.perform(run_id)

    assert isinstance(lost.error, jobs.LeaseLost)
    assert ledger.runs(GatherPart) == []


def test_steps_that_are_reset_gather_anew(ledger: Ledger) -> None:
    run_id = ledger.perform(GatherAll(numbers=(-1,))).run.id
    ledger.drain()
    with ledger.app.database.write() as connection:
        reopen(connection, [run_id])
        forget_steps(connection, [run_id])

    ledger.drain()

    assert len(ledger.runs(GatherPart)) == 2


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((GatherPart(n=1), 7), jobs.EnqueueRefused),
        ((GatherPart(n=1), GatherPart), jobs.EnqueueRefused),
        (GatherPart(n=1), jobs.EnqueueRefused),
        (7, jobs.EnqueueRefused),
        ((GatherPart(n=1) for _ in range(10_000_000)), jobs.EnqueueRefused),
    ],
)
def test_a_gather_of_values_that_are_no_jobs_is_refused(ledger: Ledger, given: Any, error: type[Exception]) -> None:
    class GatherOdd(Job):
        def perform(self) -> None:
            self.run.gather("odd", given)

    assert isinstance(ledger.perform(GatherOdd()).error, error)
    assert (ledger.runs(GatherPart), batches(ledger)) == ([], [])


def test_a_child_whose_key_another_run_holds_cannot_be_made(ledger: Ledger) -> None:
    class GatherKeyed(Job, unique=jobs.WHILE_LIVE):
        def idempotency_key(self) -> str:
            return "one"

        def perform(self) -> None: ...

    class GatherOne(Job):
        def perform(self) -> None:
            self.run.gather("one", [GatherKeyed()])

    GatherKeyed().enqueue()

    assert isinstance(ledger.perform(GatherOne()).error, jobs.KeyConflict)
    assert batches(ledger) == []


def test_the_children_of_a_live_run_are_not_pruned(ledger: Ledger) -> None:
    ledger.perform(GatherAll(numbers=(1, 2)))
    first, _ = ledger.runs(GatherPart)
    ledger.perform(first.id)

    with ledger.app.database.write() as connection:
        assert prune_ended(connection, RunState.SUCCEEDED, after=-DAY) == 0
    ledger.drain()
    with ledger.app.database.write() as connection:
        assert prune_ended(connection, RunState.SUCCEEDED, after=-DAY) == 3
    assert batches(ledger) == []
