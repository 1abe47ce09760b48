"""Members of batches end by one statement, their batches are counted once, and all that follows is in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import jobs
from jobs import Job, RunState
from jobs.ledger.batches import counts
from jobs.ledger.batches.find import broken_counts
from jobs.ledger.records import AttemptResult, Claim
from jobs.ledger.runs.claim import claim
from jobs.ledger.runs.settle import settle
from jobs.ledger.runs.settle_members import settle_counted, settle_members
from jobs.states import Outcome
from jobs.testing import Ledger
from tests.waiting import wait_until

BLOCKED = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


class MemberPart(Job):
    n: int = 0

    def perform(self) -> int:
        return self.n


class MemberSum(Job):
    def perform(self) -> int:
        return sum(self.run.gather("parts", [MemberPart(n=n) for n in range(3)]))


@pytest.fixture
def ledger(pg_database: str) -> Iterator[Ledger]:
    with Ledger(pg_database, lock_timeout="2s") as ledger:
        yield ledger
        with ledger.app.database.read() as connection:
            assert list(broken_counts(connection)) == []


def start(ledger: Ledger, *run_ids: Any) -> list[AttemptResult]:
    """Claim runs, and say that each has succeeded with its place."""
    with ledger.app.database.write() as connection:
        claims: list[Claim] = claim(connection, run_ids, kinds=["MemberPart"], worker="w", lease=timedelta(hours=1))
    return [
        AttemptResult(claim=one, outcome=Outcome.SUCCEEDED, result=str(n), elapsed_seconds=0.5, ended_monotonic=0.0)
        for n, one in enumerate(claims)
    ]


def count(ledger: Ledger, endings: list[AttemptResult]) -> list[Any]:
    with ledger.app.database.direct() as connection:
        return settle_counted(connection, endings, worker="w", monotonic=1.0)


def end(ledger: Ledger, endings: list[AttemptResult]) -> list[Any]:
    """As a worker ends members: those that end nothing else first."""
    done = count(ledger, endings)
    rest = [one for one in endings if all(one is not settled for settled, _ in done)]
    with ledger.app.database.write() as connection:
        done += settle_members(connection, rest, worker="w", monotonic=1.0)
    return sorted(done, key=lambda one: one[0].claim.run_id)


def state(run_id: Any) -> tuple[RunState, Any]:
    run = jobs.find(run_id)
    return run.state, run.result


def test_members_end_as_plain_runs_and_their_batches_are_counted(ledger: Ledger, monkeypatch: Any) -> None:
    with jobs.batch("outer") as outer:
        ids = outer.add_many(MemberPart() for _ in range(4))
        with outer.batch("inner") as inner:
            ids += inner.add_many(MemberPart() for _ in range(2))
    changed: list[list[int]] = []
    real = counts._change
    monkeypatch.setattr(
        counts, "_change", lambda session, deltas, *rest: (changed.append([*deltas]), real(session, deltas, *rest))[1]
    )
    endings = start(ledger, *ids)

    done = end(ledger, endings[1:])

    assert [one.claim.run_id for one, _ in done] == [one.claim.run_id for one in endings[1:]]
    assert [state(one) for one in ids[1:]] == [(RunState.SUCCEEDED, n) for n in range(1, 6)]
    assert [(one.attempt, one.outcome) for one in jobs.attempts(ids[5])] == [(1, Outcome.SUCCEEDED)]
    found = [jobs.find_batch(one.id) for one in (outer, inner)]
    assert [(one.total, one.pending, one.state) for one in found] == [(5, 1, "running"), (2, 0, "succeeded")]
    # Each once, the inner one first.
    assert changed == [[inner.id], [outer.id]]


def test_the_fast_ways_return_what_the_general_way_returns(ledger: Ledger) -> None:
    with jobs.batch("three") as batch:
        ids = batch.add_many(MemberPart() for _ in range(3))
    first, second, third = start(ledger, *ids)

    with ledger.app.database.write() as connection:
        ((_, expected),), _ = settle(connection, [first], worker="w", poison_after=3, monotonic=1.0)
    ((_, counted),) = count(ledger, [second])
    ((_, last),) = end(ledger, [third])

    for told in (counted, last):
        moments = {"started_at": told.started_at, "finished_at": told.finished_at, "run_id": told.run_id}
        assert told == expected._replace(**moments)
    assert [state(one)[0] for one in ids] == [RunState.SUCCEEDED] * 3
    with ledger.app.database.read() as connection:
        stored = connection.exec_driver_sql("select * from job_runs").mappings().all()
    differing = {name for row in stored for name, value in row.items() if stored[0][name] != value}
    assert differing <= {"id", "result", "started_at", "finished_at", "state_at", "created_at", "run_at"}


def test_only_what_ends_nothing_else_is_counted_by_one_statement(ledger: Ledger) -> None:
    with jobs.batch("many") as many:
        ids = many.add_many(MemberPart() for _ in range(3))
        followed = many.add(MemberPart(), on_success=[MemberPart(n=5)])
        parent = many.add(MemberPart())
    with jobs.batch("one") as one:
        last = one.add(MemberPart())
    MemberPart(n=6).enqueue(after=[parent])
    alone = MemberPart().enqueue().id

    done = count(ledger, start(ledger, *ids, followed, parent, last, alone))

    assert [one.run_id for _, one in done] == ids
    assert [jobs.find_batch(one.id).pending for one in (many, one)] == [2, 1]


def test_a_run_that_another_run_just_began_to_wait_for_is_left_to_the_general_way(ledger: Ledger) -> None:
    with jobs.batch("many") as batch:
        parent, other, _ = batch.add_many(MemberPart() for _ in range(3))
    endings = start(ledger, parent, other)
    done: list[Any] = []
    counts_them = threading.Thread(target=lambda: done.extend(count(ledger, endings)))

    with ledger.app.database.session() as session, ledger.app.database.read() as connection:
        after = MemberPart().enqueue(after=[parent], session=session)
        counts_them.start()
        assert wait_until(lambda: connection.exec_driver_sql(BLOCKED).scalar(), seconds=30)
        session.commit()
    counts_them.join(30)

    assert [one.run_id for _, one in done] == [other]
    assert jobs.find_batch(batch.id).pending == 2
    ((_, ended),) = end(ledger, endings[:1])
    assert [one.run_id for one in ended.followed_by] == [after.id]


def test_the_last_member_brings_the_callbacks_or_frees_the_run_that_waits(ledger: Ledger) -> None:
    total = ledger.perform(MemberSum()).run.id
    with jobs.batch("told", on_success=[MemberPart(n=7)]) as batch:
        ids = batch.add_many(MemberPart() for _ in range(2))
    parts = [one.id for one in ledger.runs(MemberPart)]

    done = end(ledger, start(ledger, *parts))

    (callback,) = [one for one in ledger.runs(MemberPart) if one.id not in parts]
    freed = {one.run_id: [next_.run_id for next_ in one.followed_by] for _, one in done if one.followed_by}
    assert sorted(map(tuple, freed.values())) == sorted([(callback.id,), (total,)])
    assert freed.keys() <= {*parts}
    assert set(ids) <= set(parts)
    assert jobs.find(total).hold is None
    assert jobs.find(callback.id).arguments == {"n": 7}


def test_other_follow_ups_of_a_member_are_enqueued_too(ledger: Ledger) -> None:
    with jobs.batch("more") as batch:
        followed = batch.add(MemberPart(), on_success=[MemberPart(n=5)])
        parent = batch.add(MemberPart())
    after = MemberPart(n=6).enqueue(after=[parent])

    done = end(ledger, start(ledger, followed, parent))

    (follow_up,) = [one for one in ledger.runs(MemberPart) if one.arguments == {"n": 5}]
    freed = {one.run_id: [next_.run_id for next_ in one.followed_by] for _, one in done}
    assert freed == {followed: [follow_up.id], parent: [after.id]}
    assert jobs.find(after.id).hold is None


def test_lost_and_cancelled_attempts_and_runs_without_a_batch_are_left(ledger: Ledger) -> None:
    with jobs.batch("left") as batch:
        mine, lost, cancelled = batch.add_many(MemberPart() for _ in range(3))
    alone = MemberPart().enqueue().id
    endings = start(ledger, mine, lost, cancelled, alone)
    jobs.cancel(cancelled)
    with ledger.app.database.write() as connection:
        connection.exec_driver_sql(f"update job_runs set token = gen_random_uuid() where id = '{lost}'")

    done = end(ledger, endings)

    assert [one.claim.run_id for one, _ in done] == [mine]
    assert [state(one)[0] for one in (lost, cancelled, alone)] == [RunState.RUNNING] * 3
    assert jobs.find_batch(batch.id).pending == 2
    assert end(ledger, endings) == []


def test_a_group_of_one_batch_is_one_count_and_the_last_of_it_ends_the_batch(ledger: Ledger) -> None:
    with jobs.batch("one", on_end=[MemberPart(n=7)]) as batch:
        ids = batch.add_many(MemberPart() for _ in range(5))
    endings = start(ledger, *ids)

    pending = []
    for some in (endings[:2], endings[2:4], endings[4:]):
        end(ledger, some)
        pending.append(jobs.find_batch(batch.id).pending)

    assert pending == [3, 1, 0]
    assert jobs.find_batch(batch.id).state == "succeeded"
    assert [one.arguments for one in ledger.runs(MemberPart) if one.id not in ids] == [{"n": 7}]
