"""Claims under limits: what exceeds one is parked, and ended attempts hand their slots on, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from jobs.database.models import JobLimitSlot, JobRun
from jobs.ledger.limits.counts import in_use
from jobs.ledger.records import Claim
from jobs.ledger.runs.cancel import cancel_runs
from jobs.ledger.runs.sweep import expire
from jobs.states import Outcome, RunState
from tests.book import Book
from tests.jobs.ledger.limits.admitted import KINDS, charge, due, ids
from tests.jobs.ledger.limits.admitted import declared as declared
from tests.jobs.ledger.limits.admitted import kinds as kinds


def test_what_exceeds_a_limit_is_parked_uncharged_and_untried(book: Book) -> None:
    runs = [charge(book) for _ in range(4)]
    other = charge(book, "b")

    claims = due(book)

    assert ids(claims) == [*runs[:2], other]
    for run_id in runs[2:]:
        run = book.run(run_id)
        assert (run.state, run.hold, run.attempt, run.charged, run.worker) == (RunState.QUEUED, "parked", 0, 0, None)
        assert str(run.held_on).startswith("limit:AdmitCharge#")
        assert book.attempts(run_id) == []
    assert due(book) == []


def _succeed(book: Book, held: Claim) -> None:
    book.end(held, Outcome.SUCCEEDED)


def _fail(book: Book, held: Claim) -> None:
    book.end(held, Outcome.FAILED, delay=60.0)


def _snooze(book: Book, held: Claim) -> None:
    book.end(held, Outcome.SNOOZED, delay=60.0)


def _cancel(book: Book, held: Claim) -> None:
    book.cancel(held.run_id)
    book.end(held, Outcome.CANCELLED)


def _lose(book: Book, held: Claim) -> None:
    book.step(31)
    book.rescue()


def _crash(book: Book, held: Claim) -> None:
    book.end_dead_attempts("w1", performing=[held.token])


@pytest.mark.parametrize("leave", [_succeed, _fail, _snooze, _cancel, _lose, _crash])
def test_the_end_of_an_attempt_gives_its_slot_to_the_next_parked_run(
    book: Book, leave: Callable[[Book, Claim], None]
) -> None:
    charge(book)
    charge(book)
    first, second = due(book)
    parked = charge(book)
    sooner = charge(book, priority=-1)
    assert due(book) == []

    leave(book, first)

    # A loss and a crash end both attempts, and both runs are due again: they come after those that waited.
    freed = [one for one in (sooner, parked) if book.run(one).hold is None]
    assert freed[0] == sooner
    assert sooner in ids(due(book))
    assert second.run_id != sooner


def test_a_claim_that_is_given_back_passes_its_slot_on_and_returns_the_freed_run(book: Book) -> None:
    charge(book)
    charge(book)
    first, _ = due(book)
    parked = charge(book)
    due(book)

    freed = book.give_back(first)

    assert [one.run_id for one in freed] == [first.run_id, parked]


def test_a_run_needs_room_in_all_of_its_limits_and_takes_none_while_it_is_parked(book: Book) -> None:
    for account in "abc":
        charge(book, account)
    held = due(book)
    late = charge(book, "d")
    sync = book.enqueue(kind="AdmitSync")

    assert due(book) == []
    assert {book.run(one).held_on for one in (late, sync)} == {"limit:stripe"}
    book.end(held[0], Outcome.SUCCEEDED)
    assert ids(due(book)) == [late]
    with book.database.read() as connection:
        assert sum(in_use(connection, [("stripe", "")]).values()) == 3
        assert connection.scalar(select(func.count()).select_from(JobLimitSlot)) == 6


def test_a_reassigned_slot_is_passed_on_if_its_run_is_parked_on_another_limit(book: Book) -> None:
    """The run is handed the slot of its account, but the shared limit is full: the next of the account gets it."""
    charge(book, "a")
    charge(book, "a")
    first, second = due(book)
    a_run = charge(book, "a")
    due(book)
    book.enqueue(kind="AdmitSync")
    due(book)
    waits = charge(book, "b")
    due(book)
    assert book.run(waits).held_on == "limit:stripe"

    book.end(first, Outcome.SUCCEEDED)
    claimed = ids(due(book))

    # By when they were due: the account's run is older than the one that waits for the shared limit.
    assert claimed == [a_run]
    assert book.run(waits).hold == "parked"
    book.end(second, Outcome.SUCCEEDED)
    assert ids(due(book)) == [waits]


def test_a_cancelled_run_passes_its_reassigned_slot_on(book: Book) -> None:
    charge(book)
    charge(book)
    first, _ = due(book)
    one, other = charge(book), charge(book)
    due(book)
    book.end(first, Outcome.SUCCEEDED)
    assert (book.run(one).hold, book.run(other).hold) == (None, "parked")

    book.cancel(one)

    assert ids(due(book)) == [other]


def test_what_a_cancelled_or_an_expired_run_makes_ready_is_named_for_the_ready_index(book: Book) -> None:
    charge(book)
    charge(book)
    first, _ = due(book)
    handed, following, last = charge(book, expires_seconds=8.0), charge(book), charge(book)
    due(book)
    book.end(first, Outcome.SUCCEEDED)
    book.step(10)

    with book.database.write() as connection:
        (expired,) = expire(connection, now=book.now)
    with book.database.write() as connection:
        cancelled = cancel_runs(connection, [following], now=book.now)

    assert (expired.run_id, [one.run_id for one in expired.freed]) == (handed, [following])
    assert [one.run_id for one in cancelled.freed] == [last]


def test_a_run_that_comes_later_does_not_overtake_a_parked_one(book: Book) -> None:
    charge(book)
    charge(book)
    first, _ = due(book)
    parked = charge(book)
    due(book)
    later = charge(book)
    book.end(first, Outcome.SUCCEEDED)

    assert book.claim(later, kinds=KINDS) == []
    assert ids(due(book)) == [parked]


def test_claimers_at_the_same_time_never_exceed_a_limit(book: Book) -> None:
    """Counting on the snapshot of the claim let eight runs through at a limit of two."""
    runs = [book.enqueue(kind="AdmitCharge", arguments={"account": "a"}) for _ in range(40)]
    if not book.is_postgresql:
        assert len(due(book, 40)) == 2
        return
    gate = threading.Barrier(4)

    def claim_some(_: int) -> list[Claim]:
        gate.wait(10)
        return [one for start in range(0, 40, 5) for one in book.claim(*runs[start : start + 5], kinds=KINDS)]

    with ThreadPoolExecutor(4) as pool:
        admitted = [one for some in pool.map(claim_some, range(4)) for one in some]

    assert len(admitted) == 2
    with book.database.read() as connection:
        assert connection.scalar(select(func.count()).where(JobRun.hold == "parked")) == 38
