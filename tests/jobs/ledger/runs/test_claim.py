"""Claim, and give back what was never started."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest

from jobs.database.models import JobKind, JobQueue
from jobs.ledger.runs import claim as claiming
from jobs.states import Outcome, RunState
from tests.book import LEASE, SECOND, new_run


def ids(claims):
    return [one.run_id for one in claims]


def test_a_claim_takes_the_run_with_a_token_a_lease_and_its_attempt(book):
    run_id = book.enqueue(arguments={"n": 1}, priority=5, correlation_id="c")
    book.step(2)

    (held,) = book.claim(run_id, worker="w7")

    run = book.run(run_id)
    assert (run.state, run.attempt, run.worker) == (RunState.RUNNING, 1, "w7")
    assert run.lease_until == book.now + LEASE
    assert run.started_at == run.state_at == book.now
    assert book.column(run_id, "token") == held.token
    assert (held.run_id, held.kind, held.queue, held.priority) == (run_id, "Mail", "default", 5)
    assert (held.attempt, held.max_attempts, held.charged, held.correlation_id) == (1, 3, 0, "c")
    assert held.claimed_at == book.now
    assert held.age == 2 * SECOND


def test_tokens_are_never_the_same(book):
    book.insert([new_run() for _ in range(200)])

    claims = book.claim_due(200)

    assert len({one.token for one in claims}) == 200


@pytest.mark.parametrize("by", ["id", "queue"])
class TestWhatIsNotClaimed:
    def take(self, book, by, *run_ids, **given):
        return ids(book.claim(*run_ids, **given) if by == "id" else book.claim_due(**given))

    def test_a_run_that_is_not_due_is_not_claimed(self, book, by):
        run_id = book.enqueue(delay_seconds=10)

        assert self.take(book, by, run_id) == []
        book.step(10)
        assert self.take(book, by, run_id) == [run_id]

    def test_a_run_of_an_unknown_kind_is_not_claimed(self, book, by):
        run_id = book.enqueue(kind="Other")

        assert self.take(book, by, run_id) == []
        assert self.take(book, by, run_id, kinds=[]) == []
        assert self.take(book, by, run_id, kinds=["Mail", "Other"]) == [run_id]

    def test_a_run_of_a_paused_queue_is_not_claimed(self, book, by):
        run_id = book.enqueue()
        book.pause("default")

        assert self.take(book, by, run_id) == []

    def test_a_run_of_a_paused_kind_is_not_claimed(self, book, by):
        run_id = book.enqueue()
        with book.database.write() as connection:
            connection.execute(JobKind.__table__.insert().values(name="Mail", paused_at=book.now))

        assert self.take(book, by, run_id) == []

    def test_a_pause_of_one_kind_or_queue_does_not_hold_the_others_back(self, book, by):
        paused, other = book.enqueue(kind="Mail"), book.enqueue(kind="Report")
        book.pause("elsewhere")
        with book.database.write() as connection:
            connection.execute(JobKind.__table__.insert().values(name="Mail", paused_at=book.now))

        assert self.take(book, by, paused, other, kinds=["Mail", "Report"]) == [other]

    def test_a_pause_ends_at_its_moment(self, book, by):
        run_id = book.enqueue()
        book.pause("default", until=book.now + 10 * SECOND)

        assert self.take(book, by, run_id) == []
        book.step(10)
        assert self.take(book, by, run_id) == [run_id]

    def test_a_queue_whose_row_has_no_pause_is_served(self, book, by):
        run_id = book.enqueue()
        with book.database.write() as connection:
            connection.execute(JobQueue.__table__.insert().values(name="default", latency_target_seconds=5))

        assert self.take(book, by, run_id) == [run_id]

    def test_a_run_that_expired_before_its_first_start_is_not_claimed(self, book, by):
        run_id = book.enqueue(expires_seconds=5)
        book.step(5)

        assert self.take(book, by, run_id) == []

    def test_once_started_a_run_may_finish_after_it_expired(self, book, by):
        held = book.start(expires_seconds=5)
        book.end(held, Outcome.FAILED, delay=10)
        book.step(10)

        assert self.take(book, by, held.run_id) == [held.run_id]

    def test_a_run_given_back_before_it_started_still_expires(self, book, by):
        held = book.start(expires_seconds=5)
        book.give_back(held)
        book.step(5)

        assert self.take(book, by, held.run_id) == []

    @pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.QUEUED}))
    def test_a_run_that_is_not_waiting_is_not_claimed(self, book, by, state):
        run_id, _ = book.bring(state)
        before = book.run(run_id)
        book.step(1)

        assert self.take(book, by, run_id) == []
        assert book.run(run_id) == before


def test_only_the_given_ids_are_claimed_and_unknown_ones_are_ignored(book):
    one, two, three = (book.enqueue() for _ in range(3))

    assert set(ids(book.claim(one, three, uuid4()))) == {one, three}
    assert book.run(two).state is RunState.QUEUED
    assert book.claim() == []


def test_claims_come_by_priority_then_by_due_moment_then_by_id(book):
    moments = [(0, -5), (-3, 0), (0, -9), (1000, -100), (-1000, -1), (0, -5)]
    runs = [new_run(priority=priority, run_at=book.now + at * SECOND) for priority, at in moments]
    book.insert(runs)
    expected = [run.id for run in sorted(runs, key=lambda run: (run.priority, run.run_at, run.id))]

    first, rest = book.claim_due(2), book.claim_due(10)

    assert ids(first) + ids(rest) == expected
    assert [one.priority for one in first] == [-1000, -3]


def test_a_claim_takes_no_more_than_its_count_across_priorities(book):
    book.insert([new_run(priority=n % 4) for n in range(20)])

    assert len(book.claim_due(7)) == 7
    assert len(book.claim_due(50)) == 13


def test_a_claim_serves_its_own_queue_only(book):
    mine, other = book.enqueue(queue="mine"), book.enqueue(queue="other")

    assert ids(book.claim_due(queue="mine")) == [mine]
    assert book.run(other).state is RunState.QUEUED


def test_two_workers_at_once_never_share_a_run(book):
    book.insert([new_run(priority=n % 3) for n in range(300)])
    taken: dict[str, list] = {"a": [], "b": [], "c": []}
    barrier = threading.Barrier(3)

    def work(name):
        barrier.wait(60)
        while claims := book.claim_due(7, worker=name):
            taken[name] += ids(claims)

    threads = [threading.Thread(target=work, args=(name,)) for name in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    every = [run_id for claims in taken.values() for run_id in claims]
    assert len(every) == len(set(every)) == 300


def test_a_claim_passes_over_what_another_worker_is_claiming(app, book):
    if app.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    one, two = book.enqueue(), book.enqueue()
    values = {"kinds": ["Mail"], "lease": LEASE, "now": book.now}
    with book.database.write() as first:
        held = claiming.claim(first, [one], worker="a", **values)
        with book.database.write() as second:
            by_queue = claiming.claim_due(second, "default", count=10, worker="b", **values)
            by_id = claiming.claim(second, [one], worker="b", **values)

    assert (ids(held), ids(by_queue), ids(by_id)) == ([one], [two], [])


def test_a_claim_that_is_rolled_back_never_was(book):
    run_id = book.enqueue()
    with book.crash_before_commit() as connection:
        claiming.claim(connection, [run_id], kinds=["Mail"], worker="w1", lease=LEASE, now=book.now)

    run = book.run(run_id)
    assert (run.state, run.attempt) == (RunState.QUEUED, 0)


def test_the_next_due_moment_is_that_of_the_earliest_later_run_of_the_queue(book):
    for priority, delay in [(0, 50), (-5, 40), (9, 30), (0, 0)]:
        book.enqueue(priority=priority, delay_seconds=delay)
    book.enqueue(queue="other", delay_seconds=1)

    with book.database.read() as connection:
        assert claiming.next_due_at(connection, "default", now=book.now) == book.now + 30 * SECOND
        assert claiming.next_due_at(connection, "default", now=book.now + 50 * SECOND) is None
        assert claiming.next_due_at(connection, "nothing", now=book.now) is None
        assert claiming.seconds_until_due(connection, "default", now=book.now) == 30
        assert claiming.seconds_until_due(connection, "nothing", now=book.now) is None


class TestGivingBack:
    def test_a_claim_that_is_given_back_leaves_no_trace(self, book):
        run_id = book.enqueue()
        before = book.run(run_id)
        (held,) = book.claim(run_id)

        (freed,) = book.give_back(held)

        run = book.run(run_id)
        assert (freed.run_id, freed.queue, freed.priority, freed.run_at) == (run_id, "default", 0, before.run_at)
        assert run == before
        assert book.attempts(run_id) == []

    def test_the_next_claim_has_the_same_number_and_another_token(self, book):
        first = book.start()
        book.give_back(first)
        (second,) = book.claim(first.run_id)

        assert first.attempt == second.attempt == 1
        assert first.token != second.token

    def test_giving_back_a_later_attempt_keeps_the_values_of_the_earlier(self, book):
        held = book.start()
        book.end(held, Outcome.FAILED)
        before = book.run(held.run_id)
        (again,) = book.claim(held.run_id)
        book.give_back(again)

        run = book.run(held.run_id)
        assert (run.state, run.attempt, run.charged, run.run_at) == (RunState.QUEUED, 1, 1, before.run_at)

    def test_a_lost_claim_cannot_be_given_back(self, book):
        first = book.start()
        book.give_back(first)
        (second,) = book.claim(first.run_id, worker="w2")

        assert book.give_back(first) == []
        assert book.column(first.run_id, "token") == second.token

    @pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.RUNNING}))
    def test_an_ended_claim_cannot_be_given_back(self, book, state):
        run_id, held = book.bring(state)
        before = book.run(run_id)

        assert book.give_back(held) == []
        assert book.run(run_id) == before

    def test_a_cancelled_run_that_is_given_back_ends_as_cancelled(self, book):
        held = book.start()
        book.cancel(held.run_id)

        assert book.give_back(held) == []
        run = book.run(held.run_id)
        assert (run.state, run.attempt, run.finished_at) == (RunState.CANCELLED, 0, book.now)

    def test_giving_back_no_claims_changes_nothing(self, book):
        assert book.give_back() == []
