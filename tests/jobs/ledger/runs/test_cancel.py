"""Cancel: at once for a run that waits; a flag that wins for one that runs. And replay, which reopens."""

from __future__ import annotations

from uuid import uuid4

import pytest

from jobs.states import FINAL, Outcome, RunState
from tests.book import BOOM


def test_a_waiting_run_is_cancelled_at_once(book):
    run_id = book.enqueue(delay_seconds=60)
    book.step(1)

    assert book.cancel(run_id, reason="not needed") is RunState.CANCELLED
    run = book.run(run_id)
    assert (run.state, run.finished_at, run.cancel_reason) == (RunState.CANCELLED, book.now, "not needed")
    assert run.cancel_requested_at == book.now


def test_a_running_run_is_flagged_and_keeps_its_lease(book):
    held = book.start()

    assert book.cancel(held.run_id) is RunState.RUNNING
    run = book.run(held.run_id)
    assert (run.state, run.finished_at, run.cancel_requested_at) == (RunState.RUNNING, None, book.now)
    assert book.renew(held) == {held.token}


@pytest.mark.parametrize("state", sorted(FINAL))
def test_an_ended_run_is_not_cancelled(book, state):
    run_id, _ = book.bring(state)
    before = book.run(run_id)

    assert book.cancel(run_id, reason="late") is None
    assert book.run(run_id) == before


def test_a_run_that_is_not_there_is_not_cancelled(book):
    assert book.cancel(uuid4()) is None


@pytest.mark.parametrize("state", [RunState.DEAD, RunState.CANCELLED])
def test_replay_reopens_with_a_fresh_budget_and_goes_on_counting_attempts(book, state):
    held = book.start(max_attempts=1, expires_seconds=60)
    if state is RunState.CANCELLED:
        book.cancel(held.run_id, reason="oops")
    book.end(held, Outcome.CRASHED, failure=BOOM)
    assert book.run(held.run_id).state is state
    book.step(100)

    (freed,) = book.reopen(held.run_id)

    run = book.run(held.run_id)
    assert freed.run_id == held.run_id
    assert freed.run_at == run.run_at == run.state_at == book.now
    assert (run.state, run.attempt, run.charged, run.crashes, run.abandonments) == (RunState.QUEUED, 1, 0, 0, 0)
    assert run.cause is run.finished_at is run.expires_at is run.cancel_requested_at is run.cancel_reason is None
    (again,) = book.claim(held.run_id)
    assert again.attempt == 2
    assert book.end(again, Outcome.SUCCEEDED).state is RunState.SUCCEEDED
    assert [one.attempt for one in book.attempts(held.run_id)] == [1, 2]


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED])
def test_replay_leaves_what_it_may_not_reopen(book, state):
    run_id, _ = book.bring(state)
    before = book.run(run_id)

    assert book.reopen(run_id) == []
    assert book.run(run_id) == before


def test_replay_reopens_many_and_says_which(book):
    dead = [book.bring(RunState.DEAD)[0] for _ in range(3)]
    running, _ = book.bring(RunState.RUNNING)

    assert {one.run_id for one in book.reopen(*dead, running, uuid4())} == set(dead)
    assert book.reopen() == []


def test_a_purged_run_is_not_reopened(book):
    run_id, _ = book.bring(RunState.DEAD)
    book.change(run_id, deleted_at=book.now)

    assert book.reopen(run_id) == []
