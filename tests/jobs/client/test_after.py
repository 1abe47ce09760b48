"""Runs that start when others have ended: whoever ends the last parent frees them, and a dead parent decides."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import jobs
from jobs import Job, Outcome, RunState
from jobs.ledger.records import AttemptResult
from jobs.ledger.runs.claim import claim
from jobs.ledger.runs.replay import reopen
from jobs.ledger.runs.settle import settle
from jobs.testing import Ledger

HOUR = timedelta(hours=1)


class AfterLoad(Job):
    n: int

    def perform(self) -> int:
        if self.n < 0:
            raise jobs.GiveUp("no")
        return self.n


class AfterTrain(Job):
    def perform(self) -> Any:
        return [(one.result, one.state.value) for one in self.run.parents()]


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        yield ledger


def state(run: Any) -> tuple[RunState, str | None]:
    found = jobs.find(run.id)
    return found.state, found.held_on


def test_a_run_starts_after_its_parents_and_reads_their_results(ledger: Ledger) -> None:
    first, second = AfterLoad(n=1).enqueue(), AfterLoad(n=2).enqueue()
    train = AfterTrain().enqueue(after=[second, str(first.id)])
    last = AfterTrain().enqueue(after=[train])

    ledger.perform(first.id)
    assert (state(train), state(last)) == ((RunState.QUEUED, "parents"), (RunState.QUEUED, "parents"))
    ledger.drain()

    assert jobs.find(train.id).result == [[2, "succeeded"], [1, "succeeded"]]
    assert jobs.find(last.id).result == [[[[2, "succeeded"], [1, "succeeded"]], "succeeded"]]
    assert state(AfterTrain().enqueue(after=[train])) == (RunState.QUEUED, None)


@pytest.mark.parametrize(
    ("policy", "after_death", "after_all"),
    [
        ("cancel", RunState.CANCELLED, RunState.CANCELLED),
        ("run", RunState.QUEUED, RunState.SUCCEEDED),
        ("hold", RunState.QUEUED, RunState.QUEUED),
    ],
)
def test_a_dead_parent_cancels_frees_or_holds_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, policy: Any, after_death: RunState, after_all: RunState
) -> None:
    bad, good = AfterLoad(n=-1).enqueue(), AfterLoad(n=1).enqueue()
    train = AfterTrain().enqueue(after=[bad, good], on_parent_dead=policy)
    last = AfterTrain().enqueue(after=[train])

    ledger.perform(bad.id)
    assert jobs.find(train.id).state is after_death
    assert jobs.find(last.id).state is after_death
    ledger.drain()
    assert jobs.find(train.id).state is after_all
    monkeypatch.setattr(AfterLoad, "perform", lambda self: 3)
    with ledger.app.database.write() as connection:
        reopen(connection, [bad.id, train.id])
    assert state(train)[1] == (None if policy == "run" else "parents")
    ledger.drain()

    assert jobs.find(train.id).state is RunState.SUCCEEDED
    late = AfterTrain().enqueue(after=[AfterLoad(n=-1).enqueue()])
    jobs.cancel(jobs.find(late.id).id)
    assert jobs.find(late.id).state is RunState.CANCELLED


def test_a_delay_counts_beside_the_parents_and_expiry_ends_the_wait(ledger: Ledger) -> None:
    first = AfterLoad(n=1).enqueue(delay=HOUR)
    delayed = AfterTrain().enqueue(after=[first], delay=3 * HOUR)
    expiring = AfterTrain().enqueue(after=[first], expires=HOUR / 2)

    ledger.drain(advance=2 * HOUR)
    assert (jobs.find(expiring.id).state, jobs.find(expiring.id).cause) == (RunState.DEAD, jobs.Cause.EXPIRED)
    assert (state(delayed), jobs.find(delayed.id).attempt) == ((RunState.QUEUED, None), 0)
    ledger.drain(advance=2 * HOUR)

    assert jobs.find(delayed.id).state is RunState.SUCCEEDED


def test_bad_parents_are_refused_whole(ledger: Ledger) -> None:
    nobody = "0199f4c2-a7d8-7b3c-9a52-3f1de0c9165b"
    first = AfterLoad(n=1).enqueue()

    for given in ([nobody], [7], "abc", first.id, [None], [AfterLoad(n=1)]):
        with pytest.raises(jobs.EnqueueRefused):
            AfterTrain().enqueue(after=given)  # type: ignore[arg-type]
    with pytest.raises(jobs.EnqueueRefused):
        AfterTrain().enqueue(after=[first], on_parent_dead="odd")  # type: ignore[arg-type]
    with pytest.raises(jobs.EnqueueRefused):
        AfterTrain().enqueue(after=[first], key="k", on_conflict="replace")

    assert ledger.runs(AfterTrain) == []


def test_two_parents_that_end_at_once_free_it(pg_database: str) -> None:
    with Ledger(pg_database, lock_timeout="60s") as ledger:
        parents = [AfterLoad(n=n).enqueue() for n in range(2)]
        train = AfterTrain().enqueue(after=parents)
        both = threading.Barrier(2)
        claims = []
        for one in parents:
            with ledger.app.database.write() as connection:
                claims += claim(connection, [one.id], kinds=["AfterLoad"], worker="w", lease=HOUR)

        def end(held: Any) -> None:
            result = AttemptResult(claim=held, outcome=Outcome.SUCCEEDED, elapsed_seconds=0.1, ended_monotonic=0.0)
            with ledger.app.database.write() as connection:
                both.wait(60)
                settle(connection, [result], worker="w", poison_after=3, monotonic=0.1)

        threads = [threading.Thread(target=end, args=(held,)) for held in claims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)

        assert state(train) == (RunState.QUEUED, None)
