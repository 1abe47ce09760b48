"""Batches: they end with their last member, and their callbacks are enqueued once, whoever ends it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest

import jobs
from jobs import Job, RunState
from jobs.ledger.batches.find import broken_counts
from jobs.ledger.runs import sweep
from jobs.ledger.runs.replay import reopen
from jobs.testing import Ledger

SECOND = timedelta(seconds=1)


class BatchPart(Job):
    n: int = 0

    def perform(self) -> int:
        if self.n < 0:
            raise jobs.GiveUp("no")
        return self.n


class BatchTold(Job):
    what: str
    told: ClassVar[list[tuple[str, str, int]]] = []

    def perform(self) -> None:
        batch = self.run.batch
        self.told.append((self.what, batch.name, batch.generation))


class BatchGrows(Job):
    def perform(self) -> None:
        self.run.batch.add(BatchPart(n=7))
        self.run.batch.add_many([BatchPart(n=8), BatchPart(n=9)])


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    BatchTold.told = []
    with Ledger(ledger_url, lock_timeout="2s") as ledger:
        yield ledger
        with ledger.app.database.read() as connection:
            assert list(broken_counts(connection)) == []


def told(name: str) -> dict[str, Any]:
    """All three callbacks."""
    return {f"on_{what}": [BatchTold(what=f"{name} {what}")] for what in ("success", "dead", "end")}


def counts(batch_id: Any) -> tuple[int, ...]:
    one = jobs.find_batch(batch_id)
    return one.total, one.pending, one.dead, one.cancelled, one.generation


def heard() -> list[tuple[str, int]]:
    return sorted((what, generation) for what, _, generation in BatchTold.told)


def test_a_batch_ends_with_its_last_member_and_reports_once(ledger: Ledger) -> None:
    with jobs.batch("import 42", **told("import")) as batch:
        ids = batch.add_many(BatchPart(n=n) for n in range(3))
    assert counts(batch.id) == (3, 3, 0, 0, 1)

    ledger.perform(ids[0])
    assert (counts(batch.id), BatchTold.told) == ((3, 2, 0, 0, 1), [])
    ledger.drain()

    assert heard() == [("import end", 1), ("import success", 1)]
    found = jobs.find_batch(batch.id)
    assert (found.state, found.name, found.ended_at is not None) == ("succeeded", "import 42", True)
    assert [(one.id, one.result, one.state) for one in found.results()] == [
        (ids[n], n, RunState.SUCCEEDED) for n in range(3)
    ]


def test_the_object_of_the_block_reads_and_cancels_what_it_made(ledger: Ledger) -> None:
    with jobs.batch("own") as batch:
        batch.add_many([BatchPart(n=1), BatchPart(n=2)])

    assert batch.cancel(reason="changed my mind") == 2
    assert [one.state for one in batch.results()] == [RunState.CANCELLED] * 2
    assert str(batch.id) in repr(jobs.find_batch(batch.id))


def test_dead_members_do_not_hold_it_up_and_a_replay_reports_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with jobs.batch("mixed", **told("mixed")) as batch:
        bad, good = batch.add_many([BatchPart(n=-1), BatchPart(n=1)])

    ledger.perform(bad)
    ledger.drain()
    assert heard() == [("mixed dead", 1), ("mixed end", 1)]
    assert jobs.find_batch(batch.id).state == "dead"
    monkeypatch.setattr(BatchPart, "perform", lambda self: 2)
    with ledger.app.database.write() as connection:
        reopen(connection, [bad, good])
    assert counts(batch.id) == (2, 1, 0, 0, 2)
    ledger.drain()

    assert counts(batch.id) == (2, 0, 0, 0, 2)
    assert heard() == [("mixed dead", 1), ("mixed end", 1), ("mixed end", 2), ("mixed success", 2)]


def test_batches_nest_and_an_inner_one_counts_as_one_member(ledger: Ledger) -> None:
    with jobs.batch("outer", **told("outer")) as outer:
        first = outer.add(BatchPart(n=1))
        with outer.batch("inner", **told("inner")) as inner:
            with inner.batch("innermost") as innermost:
                last = innermost.add(BatchPart(n=-1))
            second = inner.add(BatchPart(n=2))
    assert (counts(outer.id), counts(inner.id)) == ((2, 2, 0, 0, 1), (2, 2, 0, 0, 1))

    ledger.perform(first)
    ledger.perform(second)
    assert counts(inner.id) == (2, 1, 0, 0, 1)
    ledger.perform(last)

    assert (counts(outer.id), counts(inner.id)) == ((2, 0, 1, 0, 1), (2, 0, 1, 0, 1))
    ledger.drain()
    assert heard() == [("inner dead", 1), ("inner end", 1), ("outer dead", 1), ("outer end", 1)]
    with ledger.app.database.write() as connection:
        reopen(connection, [last])
    assert (counts(outer.id), counts(inner.id)) == ((2, 1, 0, 0, 2), (2, 1, 0, 0, 2))
    jobs.cancel(last)
    assert (jobs.find_batch(outer.id).state, jobs.find_batch(inner.id).state) == ("cancelled", "cancelled")


def test_a_batch_without_members_ends_at_once(ledger: Ledger) -> None:
    with jobs.batch("outer", **told("outer")) as outer, outer.batch("inner", **told("inner")):
        pass

    ledger.drain()

    assert heard() == [("inner end", 1), ("inner success", 1), ("outer end", 1), ("outer success", 1)]


def test_a_member_adds_to_its_batch_while_it_performs(ledger: Ledger) -> None:
    with jobs.batch("grows", **told("grows")) as batch:
        grower = batch.add(BatchGrows())

    ledger.perform(grower)
    assert (counts(batch.id), BatchTold.told) == ((4, 3, 0, 0, 1), [])
    ledger.drain()

    assert (counts(batch.id), len(BatchTold.told)) == ((4, 0, 0, 0, 1), 2)


def test_whoever_ends_the_last_member_reports(ledger: Ledger) -> None:
    with jobs.batch("cancelled", **told("cancelled")) as first:
        jobs_of_first = first.add_many([BatchPart(), BatchPart()])
    with jobs.batch("expired", **told("expired")) as second:
        second.add(BatchPart(), expires=SECOND)
    with jobs.batch("lost", **told("lost")) as third:
        third.add(BatchPart())
    ledger.crash(BatchPart, times=3)
    ledger.advance(2 * SECOND)

    assert jobs.find_batch(first.id).cancel(reason="not needed") == len(jobs_of_first)
    with ledger.app.database.write() as connection:
        sweep.expire(connection)
    ledger.drain(advance=timedelta(hours=1))

    assert [jobs.find_batch(one.id).state for one in (first, second, third)] == ["cancelled", "dead", "dead"]
    assert heard() == [("cancelled end", 1), ("expired dead", 1), ("expired end", 1), ("lost dead", 1), ("lost end", 1)]


def test_an_error_in_the_block_makes_nothing(ledger: Ledger) -> None:
    with pytest.raises(jobs.EnqueueRefused), jobs.batch("broken") as batch:
        batch.add_many([BatchPart(), BatchPart()], priority=10_000)
    with pytest.raises(jobs.EnqueueRefused), jobs.batch("odd") as odd:
        odd.add_many([BatchPart(), 7])  # type: ignore[list-item]
    with jobs.batch("late") as late:
        pass
    with pytest.raises(jobs.errors.Conflict):
        late.add(BatchPart())

    assert ledger.runs(BatchPart) == []
    with pytest.raises(jobs.NotFound):
        jobs.find_batch(batch.id)
    for name in ("", "x" * 201, "\n"):
        with pytest.raises(jobs.EnqueueRefused):
            jobs.batch(name)


def test_a_batch_in_a_session_exists_when_its_owner_commits(ledger: Ledger) -> None:
    with ledger.app.database.session() as session:
        with jobs.batch("gone", session=session) as gone:
            gone.add(BatchPart(n=1))
        session.rollback()
        with jobs.batch("kept", session=session, **told("kept")) as kept:
            kept.add(BatchPart(n=2))
        session.commit()

    assert [one.run.result for one in ledger.drain()][:1] == [2]
    assert len(BatchTold.told) == 2
    with pytest.raises(jobs.NotFound):
        jobs.find_batch(gone.id)


def test_a_run_outside_any_batch_says_so(ledger: Ledger) -> None:
    assert isinstance(ledger.perform(BatchTold(what="x")).error, jobs.errors.Conflict)


async def _async_batch() -> Any:
    async with jobs.batch("async") as batch:
        batch.add(BatchPart(n=1))
    return (await jobs.find_batch_async(batch.id)).total


def test_async_callers_make_batches(ledger: Ledger) -> None:
    import asyncio

    assert asyncio.run(_async_batch()) == 1
