"""Ends of attempts in batches: one that cannot be stored refuses its batch, and a crash leaves all running."""

from __future__ import annotations

import pytest

from jobs.ledger.runs.end import AttemptEnd, end
from jobs.ledger.runs.settle import settle
from jobs.states import Outcome, RunState
from tests.book import BOOM, attempt_result, new_run


def test_five_hundred_endings_are_one_batch(book):
    book.insert([new_run(max_attempts=1) for _ in range(500)])
    claims = book.claim_due(500)
    outcomes = sorted(Outcome)
    endings = [
        attempt_result(held, outcomes[n % len(outcomes)], result=n, failure=BOOM) for n, held in enumerate(claims)
    ]

    settled, refused = book.settle(*endings)

    assert len(settled) == 500
    assert refused == []
    assert all(one.outcome is told.outcome for one, told in settled)


def test_a_crash_before_the_commit_leaves_the_attempt_running(book):
    held = book.start()
    with book.crash_before_commit() as connection:
        settle(
            connection,
            [attempt_result(held, Outcome.SUCCEEDED)],
            worker="w1",
            poison_after=3,
            monotonic=0.0,
            now=book.now,
        )

    assert book.run(held.run_id).state is RunState.RUNNING
    assert book.attempts(held.run_id) == []
    assert book.end(held, Outcome.SUCCEEDED).state is RunState.SUCCEEDED


def test_ending_no_attempts_changes_nothing(book):
    assert book.settle() == ([], [])


def test_one_ending_that_cannot_be_stored_refuses_its_batch(book):
    from jobs.errors import LedgerRefused
    from jobs.ledger.records import Failure

    good, bad = book.start(), book.start()
    unstorable = Failure("E", "nul \0", None, "f" * 17)
    if book.database.dialect == "sqlite":
        # SQLite stores any text: let the count of charged attempts break its constraint instead.
        book.change(bad.run_id, charged=1)

    with pytest.raises(LedgerRefused):
        book.settle_with_care(
            attempt_result(good, Outcome.SUCCEEDED), attempt_result(bad, Outcome.FAILED, failure=unstorable)
        )

    assert book.run(good.run_id).state is RunState.RUNNING
    assert book.end(good, Outcome.SUCCEEDED).state is RunState.SUCCEEDED


def test_an_end_by_another_than_its_worker_says_who_ended_it(book):
    held = book.start()
    with book.database.write() as connection:
        ended, _ = end(
            connection,
            [AttemptEnd(run_id=held.run_id, token=held.token, attempt=1, outcome=Outcome.RELEASED, worker="other")],
            poison_after=3,
            now=book.now,
        )

    assert ended[0].state is RunState.QUEUED
    assert book.attempts(held.run_id)[0].worker == "other"
