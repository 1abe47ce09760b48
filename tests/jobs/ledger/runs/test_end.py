"""End: every outcome, with and without a cancel request, with a budget and without; and what the fence refuses."""

from __future__ import annotations

import pytest

from jobs.states import CHARGED, Cause, Outcome, RunState
from tests.book import BOOM, SECOND, attempt_result, new_run

Q, S, D, C = RunState.QUEUED, RunState.SUCCEEDED, RunState.DEAD, RunState.CANCELLED
RETRIED = dict.fromkeys(Outcome, (Q, None)) | {
    Outcome.SUCCEEDED: (S, None),
    Outcome.CANCELLED: (C, None),
}
"""Where an outcome without a cause sends a run that has budget left."""


@pytest.mark.parametrize("outcome", sorted(Outcome))
@pytest.mark.parametrize("cause", [None, Cause.GAVE_UP, Cause.BAD_ARGUMENTS])
@pytest.mark.parametrize("is_cancelled", [False, True], ids=["kept", "cancelled"])
@pytest.mark.parametrize("max_attempts", [1, 2], ids=["last_try", "budget_left"])
def test_an_outcome_leads_to_the_state_of_the_table(book, outcome, cause, is_cancelled, max_attempts):
    held = book.start(max_attempts=max_attempts)
    if is_cancelled:
        book.cancel(held.run_id)
    is_charged = outcome in CHARGED
    state, why = RETRIED[outcome]
    if is_cancelled:
        state, why = C, None
    elif state is Q and cause is not None:
        state, why = D, cause
    elif state is Q and is_charged and max_attempts == 1:
        state, why = D, Cause.EXHAUSTED
    book.step(3)

    settled = book.end(held, outcome, cause=cause, delay=60, failure=BOOM)

    run = book.run(held.run_id)
    assert (settled.state, settled.cause) == (run.state, run.cause) == (state, why)
    assert run.charged == int(is_charged)
    assert run.attempt == 1
    assert run.finished_at == (None if state is Q else book.now)
    assert run.run_at == (book.now + 60 * SECOND if state is Q else book.now - 3 * SECOND)
    assert run.state_at == book.now
    assert run.lease_until is None
    assert book.column(held.run_id, "token") is None
    (attempt,) = book.attempts(held.run_id)
    recorded = Outcome.CANCELLED if is_cancelled and outcome is Outcome.SUCCEEDED else outcome
    assert attempt.outcome is settled.outcome is recorded
    assert settled.retry_at == (run.run_at if state is Q else None)
    # A suspended attempt is not tried again: the same call of perform goes on.
    assert attempt.retry_at == (settled.retry_at if outcome is not Outcome.SUSPENDED else None)


def test_a_success_keeps_its_result_and_the_error_of_an_earlier_attempt(book):
    held = book.start()
    book.end(held, Outcome.FAILED, failure=BOOM)
    (again,) = book.claim(held.run_id)
    book.end(again, Outcome.SUCCEEDED, result={"size": 7, "ratio": 1.0})

    run = book.run(held.run_id)
    assert run.result == {"size": 7, "ratio": 1.0}
    assert (run.error_type, run.error_message, run.fingerprint) == ("ValueError", "boom", "0123456789ab")
    assert [(one.attempt, one.outcome) for one in book.attempts(held.run_id)] == [
        (1, Outcome.FAILED),
        (2, Outcome.SUCCEEDED),
    ]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SNOOZED, Outcome.GAVE_UP])
def test_only_a_success_keeps_a_result(book, outcome):
    held = book.start()
    book.end(held, outcome, result={"half": True})

    assert book.run(held.run_id).result is None


def test_a_success_that_was_cancelled_keeps_no_result(book):
    held = book.start()
    book.cancel(held.run_id)
    book.end(held, Outcome.SUCCEEDED, result=1)

    run = book.run(held.run_id)
    assert (run.state, run.result) == (C, None)


def test_moments_are_when_the_attempt_ended_not_when_it_was_settled(book):
    held = book.start()
    book.step(10)
    book.end(held, Outcome.SUCCEEDED, ago=2, elapsed=5.5)

    (attempt,) = book.attempts(held.run_id)
    assert attempt.finished_at == book.now - 2 * SECOND
    assert attempt.started_at == book.now - 7.5 * SECOND
    assert book.run(held.run_id).started_at == attempt.started_at


def test_the_error_is_stored_with_the_attempt(book):
    held = book.start()
    book.end(held, Outcome.FAILED, failure=BOOM)

    (attempt,) = book.attempts(held.run_id)
    assert (attempt.error_type, attempt.error_message, attempt.traceback) == ("ValueError", "boom", "Traceback …")
    assert (attempt.fingerprint, attempt.worker) == ("0123456789ab", "w1")


def test_the_budget_counts_charged_outcomes_only(book):
    held = book.start(max_attempts=2)
    for outcome in (Outcome.SNOOZED, Outcome.RELEASED, Outcome.FAILED, Outcome.SNOOZED):
        assert book.end(held, outcome).state is Q
        (held,) = book.claim(held.run_id)

    last = book.end(held, Outcome.TIMED_OUT)

    assert (last.state, last.cause) == (D, Cause.EXHAUSTED)
    run = book.run(held.run_id)
    assert (run.attempt, run.charged) == (5, 2)


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.ABANDONED])
def test_the_third_crash_or_loss_is_poison(book, outcome):
    held = book.start(max_attempts=10)
    for _ in range(2):
        assert book.end(held, outcome).state is Q
        (held,) = book.claim(held.run_id)

    last = book.end(held, outcome)

    assert (last.state, last.cause) == (D, Cause.POISON)


def test_crashes_and_losses_are_counted_apart(book):
    held = book.start(max_attempts=10)
    for outcome in (Outcome.CRASHED, Outcome.ABANDONED, Outcome.CRASHED, Outcome.ABANDONED):
        assert book.end(held, outcome).state is Q
        (held,) = book.claim(held.run_id)

    assert (held.crashes, held.abandonments, held.charged) == (2, 2, 2)


def test_poison_names_the_cause_when_the_budget_is_spent_too(book):
    book.poison_after = 1
    held = book.start(max_attempts=1)

    assert book.end(held, Outcome.CRASHED).cause is Cause.POISON


class TestTheFence:
    def test_a_lost_lease_records_nothing_but_the_refusal(self, book):
        zombie = book.start()
        book.step(31)
        book.rescue()
        (heir,) = book.claim(zombie.run_id, worker="w2")
        before = book.run(zombie.run_id)
        book.step(1)

        assert book.end(zombie, Outcome.SUCCEEDED, result="late") is None

        assert book.run(zombie.run_id) == before
        (attempt,) = book.attempts(zombie.run_id)
        assert (attempt.outcome, attempt.refused_outcome) == (Outcome.ABANDONED, Outcome.SUCCEEDED)
        assert attempt.refused_at == book.now
        assert book.end(heir, Outcome.SUCCEEDED, result="mine").state is S
        assert book.run(zombie.run_id).result == "mine"

    def test_a_refusal_is_recorded_on_its_own_attempt_only(self, book):  # K2.C
        zombie = book.start()
        book.step(31)
        book.rescue()
        (heir,) = book.claim(zombie.run_id, worker="w2")
        book.end(heir, Outcome.SUCCEEDED)
        book.end(zombie, Outcome.FAILED)

        assert [one.refused_outcome for one in book.attempts(zombie.run_id)] == [Outcome.FAILED, None]

    def test_a_refusal_is_recorded_once(self, book):
        zombie = book.start()
        book.step(31)
        book.rescue()
        book.end(zombie, Outcome.FAILED)
        noted = book.now
        book.step(1)
        book.end(zombie, Outcome.SUCCEEDED)

        (attempt,) = book.attempts(zombie.run_id)
        assert (attempt.refused_outcome, attempt.refused_at) == (Outcome.FAILED, noted)

    def test_an_attempt_ends_once(self, book):
        held = book.start()
        book.end(held, Outcome.SUCCEEDED, result=1)
        before = book.run(held.run_id)

        assert book.end(held, Outcome.FAILED, failure=BOOM) is None
        assert book.run(held.run_id) == before
        assert [one.outcome for one in book.attempts(held.run_id)] == [Outcome.SUCCEEDED]

    def test_in_a_batch_lost_attempts_are_refused_and_the_others_settled(self, book):
        book.insert([new_run() for _ in range(6)])
        claims = book.claim_due(6)
        book.give_back(*claims[::2])
        endings = [attempt_result(held, Outcome.SUCCEEDED, result=n) for n, held in enumerate(claims)]

        settled, refused = book.settle(*endings)

        assert [one for one, _ in settled] == sorted(endings[1::2], key=lambda one: one.claim.run_id)
        assert {one.claim.token for one in refused} == {one.token for one in claims[::2]}
        assert [book.run(one.run_id).result for one in claims[1::2]] == [1, 3, 5]

    def test_a_batch_with_an_old_and_the_present_attempt_of_a_run_settles_the_present_one(self, book):
        old = book.start()
        book.step(31)
        book.rescue()
        (present,) = book.claim(old.run_id)

        settled, refused = book.settle(attempt_result(old, Outcome.FAILED), attempt_result(present, Outcome.SUCCEEDED))

        assert [one.claim for one, _ in settled] == [present]
        assert [one.claim for one in refused] == [old]
        assert [one.outcome for one in book.attempts(old.run_id)] == [Outcome.ABANDONED, Outcome.SUCCEEDED]

    def test_a_batch_with_two_claims_of_one_number_settles_the_present_one(self, book):
        old = book.start()
        book.give_back(old)
        (present,) = book.claim(old.run_id)
        assert old.attempt == present.attempt

        settled, refused = book.settle(attempt_result(old, Outcome.FAILED), attempt_result(present, Outcome.SUCCEEDED))

        assert [one.claim for one, _ in settled] == [present]
        assert [one.claim for one in refused] == [old]
        assert [one.outcome for one in book.attempts(old.run_id)] == [Outcome.SUCCEEDED]

    @pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.RUNNING}))
    def test_an_attempt_ends_only_from_the_state_running(self, book, state):
        run_id, held = book.bring(state)
        before = book.run(run_id), [one.outcome for one in book.attempts(run_id)]

        for outcome in Outcome:
            assert book.end(held, outcome) is None

        assert (book.run(run_id), [one.outcome for one in book.attempts(run_id)]) == before
