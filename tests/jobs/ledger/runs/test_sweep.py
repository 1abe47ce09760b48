"""Sweep: what any process does for runs that nobody holds."""

from __future__ import annotations

from uuid import uuid4

import pytest

from jobs.ledger.runs import sweep
from jobs.states import Cause, Outcome, RunState
from jobs.upkeep.ended_events import ended_events
from tests.book import SECOND, new_run

Q, D, C = RunState.QUEUED, RunState.DEAD, RunState.CANCELLED


class TestRescue:
    def test_an_expired_lease_ends_the_attempt_as_abandoned_uncharged(self, book):
        held = book.start()
        book.step(30.001)

        (settled,) = book.rescue()

        run = book.run(held.run_id)
        assert (settled.run_id, settled.state, settled.outcome) == (held.run_id, Q, Outcome.ABANDONED)
        assert (run.state, run.charged, run.abandonments, run.attempt) == (Q, 0, 1, 1)
        (attempt,) = book.attempts(held.run_id)
        assert (attempt.outcome, attempt.worker) == (Outcome.ABANDONED, "w1")
        assert attempt.started_at == held.claimed_at
        assert attempt.finished_at == book.now

    def test_it_goes_by_the_lease_never_by_age(self, book):
        held = book.start()
        for _ in range(20):
            book.step(20)
            book.renew(held)

        assert book.rescue() == []

    def test_it_works_in_limited_batches(self, book):
        book.insert([new_run() for _ in range(5)])
        book.claim_due(5)
        book.step(31)

        assert [len(book.rescue(limit=2)) for _ in range(4)] == [2, 2, 1, 0]

    def test_the_third_loss_is_poison(self, book):
        (held,) = book.claim(run_id := book.enqueue(max_attempts=1))
        for _ in range(2):
            book.step(31)
            assert book.rescue()[0].state is Q
            book.claim(run_id)
        book.step(31)

        assert (book.rescue()[0].state, book.run(run_id).cause) == (D, Cause.POISON)
        assert held.attempt == 1
        assert book.run(run_id).charged == 0

    def test_a_cancelled_run_that_is_rescued_ends_as_cancelled(self, book):
        held = book.start()
        book.cancel(held.run_id)
        book.step(31)

        assert book.rescue()[0].state is C

    def test_runs_that_a_rescuer_works_on_are_passed_over_by_another(self, app, book):
        if app.database.dialect == "sqlite":
            pytest.skip("SQLite has one writer at a time")
        book.start()
        book.step(31)
        with book.database.write() as first:
            mine = sweep.rescue(first, poison_after=3, now=book.now)
            theirs = book.rescue()

        assert (len(mine), theirs) == (1, [])

    @pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.RUNNING}))
    def test_a_run_that_is_not_running_is_not_rescued(self, book, state):
        run_id, _ = book.bring(state)
        before = book.run(run_id)
        book.step(1000)

        assert book.rescue() == []
        assert book.run(run_id) == before


class TestOrphans:
    def test_runs_that_were_performed_have_crashed_and_claimed_ones_are_released(self, book):
        crashed, done, held = (book.start(worker="dead") for _ in range(3))
        other = book.start(worker="alive")

        settled, freed = book.end_dead_attempts("dead", performing=[crashed.token], ended=[done.token])

        assert {one.run_id: one.outcome for one in settled} == {
            crashed.run_id: Outcome.CRASHED,
            done.run_id: Outcome.RELEASED,
        }
        assert [one.run_id for one in freed] == [held.run_id]
        runs = {name: book.run(one.run_id) for name, one in (("crashed", crashed), ("done", done), ("held", held))}
        assert {name: (run.state, run.attempt, run.charged, run.crashes) for name, run in runs.items()} == {
            "crashed": (Q, 1, 1, 1),
            "done": (Q, 1, 0, 0),
            "held": (Q, 0, 0, 0),
        }
        assert "signal 9" in (runs["crashed"].error_message or "")
        assert book.attempts(held.run_id) == []
        assert book.run(other.run_id).state is RunState.RUNNING

    def test_a_crash_has_a_group_and_its_event_tells_as_much_as_a_worker_would(self, book):
        one, other = (book.start(worker="dead", kind="Mail", correlation_id="req-7") for _ in range(2))
        (stranger,) = book.claim(book.enqueue(kind="Other"), kinds=["Other"], worker="dead")

        settled, _ = book.end_dead_attempts("dead", performing=[one.token, other.token, stranger.token])

        told = {event.run_id: event for event in ended_events(settled)}
        assert told[one.run_id].fingerprint == told[other.run_id].fingerprint == book.run(one.run_id).fingerprint
        assert told[stranger.run_id].fingerprint not in (None, "", told[one.run_id].fingerprint)
        assert (told[one.run_id].correlation_id, told[one.run_id].error_type) == ("req-7", "ProcessDied")

    def test_ending_it_again_is_harmless(self, book):
        held = book.start(worker="dead")
        book.end_dead_attempts("dead", performing=[held.token])
        before = book.run(held.run_id)

        assert book.end_dead_attempts("dead", performing=[held.token]) == ([], [])
        assert book.run(held.run_id) == before

    def test_a_run_that_another_worker_has_since_claimed_is_left_alone(self, book):
        held = book.start(worker="dead")
        book.step(31)
        book.rescue()
        book.claim(held.run_id, worker="heir")

        assert book.end_dead_attempts("dead", performing=[held.token]) == ([], [])
        assert book.run(held.run_id).worker == "heir"

    def test_a_lost_attempt_of_the_same_worker_says_nothing_of_the_one_that_it_holds_now(self, book):  # K.1
        lost = book.start(worker="dead")
        book.step(31)
        book.rescue()
        (held,) = book.claim(lost.run_id, worker="dead")

        settled, freed = book.end_dead_attempts("dead", performing=[lost.token])

        assert settled == []
        assert [one.run_id for one in freed] == [held.run_id]
        assert (book.run(held.run_id).crashes, book.run(held.run_id).charged) == (0, 0)

    def test_the_wait_after_a_crash_doubles(self, book):
        (held,) = book.claim(run_id := book.enqueue(), worker="dead")
        waits = []
        for _ in range(2):
            book.end_dead_attempts("dead", performing=[held.token])
            waits.append(book.run(run_id).run_at - book.now)
            book.step(60)
            (held,) = book.claim(run_id, worker="dead")

        assert waits == [SECOND, 2 * SECOND]
        assert held.crashes == 2
        assert book.end_dead_attempts("dead", performing=[held.token])[0][0].cause in (Cause.POISON, Cause.EXHAUSTED)

    def test_a_cancelled_run_ends_as_cancelled_whatever_its_process_did(self, book):
        claims = [book.start(worker="dead") for _ in range(3)]
        for held in claims:
            book.cancel(held.run_id)

        book.end_dead_attempts("dead", performing=[claims[0].token], ended=[claims[1].token])

        assert {book.run(held.run_id).state for held in claims} == {C}

    def test_it_works_in_limited_batches(self, book):
        book.insert([new_run() for _ in range(5)])
        book.claim_due(5, worker="dead")

        sizes = [len(book.end_dead_attempts("dead", limit=2)[1]) for _ in range(4)]

        assert sizes == [2, 2, 1, 0]

    def test_ids_of_other_runs_are_ignored(self, book):
        assert book.end_dead_attempts("nobody", performing=[uuid4()], ended=[uuid4()]) == ([], [])


class TestExpiry:
    def test_a_run_that_was_never_started_dies_at_its_moment(self, book):
        run_id = book.enqueue(expires_seconds=5)

        book.step(4.999)
        assert book.expire() == 0
        book.step(0.001)
        assert book.expire() == 1
        run = book.run(run_id)
        assert (run.state, run.cause, run.finished_at, run.attempt) == (D, Cause.EXPIRED, book.now, 0)

    def test_a_run_that_was_started_does_not_expire(self, book):
        run_id, _ = book.bring(Q, expires_seconds=5)
        running, _ = book.bring(RunState.RUNNING, expires_seconds=5)
        book.step(100)

        assert book.expire() == 0
        assert book.run(run_id).state is Q
        assert book.run(running).state is RunState.RUNNING

    def test_it_works_in_limited_batches(self, book):
        book.insert([new_run(expires_seconds=1) for _ in range(5)])
        book.step(2)

        assert [book.expire(limit=2) for _ in range(4)] == [2, 2, 1, 0]


class TestUnknownKinds:
    def test_a_run_of_an_unknown_kind_is_dead_after_the_wait(self, book):
        unknown, known = book.enqueue(kind="Gone"), book.enqueue(kind="Mail")
        book.step(59.9)
        assert book.dead_letter_unknown("Mail") == 0
        book.step(0.1)

        assert book.dead_letter_unknown("Mail") == 1
        run = book.run(unknown)
        assert (run.state, run.cause, run.finished_at) == (D, Cause.UNKNOWN_KIND, book.now)
        assert book.run(known).state is Q

    def test_the_wait_begins_when_the_run_is_due(self, book):
        book.enqueue(kind="Gone", delay_seconds=100)
        book.step(100)

        assert book.dead_letter_unknown("Mail") == 0

    def test_a_running_run_is_never_dead_lettered(self, book):
        held = book.start()
        book.step(1000)

        assert book.dead_letter_unknown("Other") == 0
        assert book.run(held.run_id).state is RunState.RUNNING


class TestReleaseStrays:
    def test_a_claim_that_its_worker_does_not_know_is_given_back_without_a_trace(self, book):
        known, stray = book.start(), book.start()

        (freed,) = book.release_unacknowledged(known)

        assert freed.run_id == stray.run_id
        run = book.run(stray.run_id)
        assert (run.state, run.attempt, run.charged, run.abandonments) == (Q, 0, 0, 0)
        assert book.attempts(stray.run_id) == []
        assert book.run(known.run_id).state is RunState.RUNNING

    def test_claims_of_other_workers_are_not_released(self, book):
        book.start(worker="w2")

        assert book.release_unacknowledged(worker="w1") == []

    def test_an_unacknowledged_claim_that_was_cancelled_ends_as_cancelled(self, book):
        stray = book.start()
        book.cancel(stray.run_id)

        assert book.release_unacknowledged() == []
        assert book.run(stray.run_id).state is C
