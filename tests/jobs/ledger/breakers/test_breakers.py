"""Breakers: failures of one fingerprint open them, further runs are parked untried, and a canary closes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from jobs import Breaker, Job
from jobs.database.models import JobBreakerFailure, JobCanary
from jobs.definition import registry
from jobs.definition.breakers import guarded_kinds
from jobs.ledger.breakers import parked
from jobs.ledger.breakers.failures import drop_old_failures
from jobs.ledger.breakers.sweep import drop_idle_slices, free_closed, parked_slices
from jobs.ledger.records import Claim, Failure, RecordedAttempt
from jobs.states import Cause, Outcome, RunState
from tests.book import Book

KINDS = ("Mail", "BreakerCharge", "BreakerSync", "BreakerPing")
DOWN = Failure("ConnectionError", "refused", None, "aaaaaaaaaaaa")
OTHER = Failure("KeyError", "name", None, "bbbbbbbbbbbb")
OPEN = 60


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class BreakerCharge(Job, breaker=Breaker(after=3, within=timedelta(minutes=1), by="account")):
        account: str = "a"

        def perform(self) -> None: ...

    shared = Breaker(after=2, name="provider", open_for=timedelta(seconds=10))

    class BreakerSync(Job, breaker=shared):
        def perform(self) -> None: ...

    class BreakerPing(Job, breaker=shared):
        def perform(self) -> None: ...

    yield
    for kind in KINDS[1:]:
        registry.forget(kind)
        guarded_kinds.pop(kind)


def charges(book: Book, count: int, account: str = "a", **given: object) -> list[UUID]:
    made = []
    for _ in range(count):
        book.step(0.001)
        made.append(book.enqueue(kind="BreakerCharge", arguments={"account": account}, **given))
    return made


def due(book: Book, count: int = 10) -> list[Claim]:
    return book.claim_due(count, kinds=KINDS)


def ids(claims: list[Claim]) -> list[UUID]:
    return [one.run_id for one in claims]


def fail(book: Book, held: Claim, failure: Failure = DOWN, delay: float = 3600.0) -> RecordedAttempt:
    ended = book.end(held, Outcome.FAILED, failure=failure, delay=delay)
    assert ended is not None
    return ended


def open_it(book: Book, account: str = "a") -> None:
    """Three failures of one account."""
    charges(book, 3, account)
    claims = due(book, 3)
    assert len(claims) == 3
    for one in claims:
        fail(book, one)


def sweep(book: Book) -> list[UUID]:
    freed = []
    with book.database.write() as connection:
        drop_old_failures(connection, now=book.now)
        for one in parked_slices(connection):
            freed += free_closed(connection, one, now=book.now)[0]
    return [one.run_id for one in freed]


def test_so_many_failures_of_one_fingerprint_open_it_and_further_runs_are_parked_untried(book: Book) -> None:
    charges(book, 4)
    first, second, third, flying = due(book)
    assert fail(book, first).breakers == ()
    assert fail(book, second, OTHER).breakers == ()
    assert fail(book, third).breakers == ()
    more = charges(book, 2)
    ended = fail(book, flying)

    (change,) = ended.breakers
    assert (change.name, change.kind, change.is_open, change.fingerprint) == (
        "BreakerCharge", "BreakerCharge", True, DOWN.fingerprint,
    )  # fmt: skip
    assert due(book) == []
    for run_id in more:
        run = book.run(run_id)
        assert (run.state, run.hold, run.attempt, run.charged) == (RunState.QUEUED, "parked", 0, 0)
        assert str(run.held_on).startswith("breaker:BreakerCharge#")
        assert book.attempts(run_id) == []
    # The first goes as the canary when the time is over; the other waits for what the canary finds.
    assert book.run(more[0]).held_until == change.probe_at == book.now + timedelta(seconds=OPEN)
    assert book.run(more[1]).held_until is None


def test_runs_of_another_slice_or_without_a_breaker_go_on(book: Book) -> None:
    open_it(book)
    parked_run, other, mail = charges(book, 1)[0], charges(book, 1, "b")[0], book.enqueue()

    assert set(ids(due(book))) == {other, mail}
    assert book.run(parked_run).hold == "parked"


def test_old_failures_and_failures_outside_the_job_do_not_count(book: Book) -> None:
    charges(book, 9)
    claims = due(book)
    fail(book, claims[0])
    fail(book, claims[1])
    book.renew(*claims[2:])
    book.step(29)
    book.renew(*claims[2:])
    book.step(29)
    book.renew(*claims[2:])
    book.step(3)
    assert fail(book, claims[2]).breakers == ()
    for one in claims[3:6]:
        book.end(one, Outcome.FAILED, failure=DOWN, cause=Cause.BAD_ARGUMENTS)
    book.end(claims[6], Outcome.GAVE_UP, failure=DOWN, cause=Cause.GAVE_UP)
    book.end(claims[7], Outcome.ABANDONED, failure=DOWN, delay=3600)
    with book.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(JobBreakerFailure)) == 3
    sweep(book)
    with book.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(JobBreakerFailure)) == 1
    assert fail(book, claims[8]).breakers == ()


def test_a_canary_that_succeeds_closes_it_and_the_parked_runs_are_ready_in_order(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_it(book)
    waiting = charges(book, 4)
    urgent = charges(book, 1, priority=-1)[0]
    due(book)
    monkeypatch.setattr(parked, "FREE_BATCH", 2)
    book.step(OPEN)

    (canary,) = due(book)
    assert due(book) == []
    ended = book.end(canary, Outcome.SUCCEEDED)

    # The most urgent came last, and was the first to be claimed.
    assert canary.run_id == urgent
    assert ended is not None
    assert [one.run_id for one in ended.followed_by] == waiting[:2]
    assert [(one.is_open, one.freed) for one in ended.breakers] == [(False, 2)]
    assert sweep(book) == waiting[2:]
    assert ids(due(book)) == waiting
    assert book.run(waiting[0]).hold is None
    with book.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(JobCanary)) == 0


def test_a_canary_that_fails_opens_it_again_for_twice_as_long_and_another_goes_next(book: Book) -> None:
    open_it(book)
    first, second, third = charges(book, 3)
    due(book)
    for run_id, seconds in ((first, OPEN), (second, 2 * OPEN), (third, 4 * OPEN)):
        book.step(seconds - 1)
        assert due(book) == []
        book.step(1)
        (canary,) = due(book)
        assert canary.run_id == run_id
        (change,) = fail(book, canary, OTHER, delay=100_000).breakers
        assert (change.is_open, change.is_again, change.fingerprint) == (True, True, OTHER.fingerprint)


def test_the_wait_for_a_canary_grows_to_eight_times_at_most() -> None:
    breaker = Breaker(open_for=timedelta(seconds=10))
    assert [breaker.open_seconds(failed) for failed in (0, 1, 2, 3, 4, 10_000)] == [10, 20, 40, 80, 80, 80]


def _snooze(book: Book, held: Claim) -> None:
    book.end(held, Outcome.SNOOZED, delay=3600)


def _cancel(book: Book, held: Claim) -> None:
    book.cancel(held.run_id)
    book.end(held, Outcome.CANCELLED)


def _lose(book: Book, held: Claim) -> None:
    book.step(31)
    book.rescue()
    book.cancel(held.run_id)


def _purge(book: Book, held: Claim) -> None:
    book.change(
        held.run_id, state="dead", cause="gave_up", token=None, lease_until=None, finished_at=book.now,
        deleted_at=book.now,
    )  # fmt: skip


@pytest.mark.parametrize("leave", [_snooze, _cancel, _lose, _purge])
def test_a_canary_that_ends_undecided_is_replaced_by_the_next(book: Book, leave: Callable[[Book, Claim], None]) -> None:
    open_it(book)
    _, second = charges(book, 2)
    due(book)
    book.step(OPEN)
    (canary,) = due(book)

    leave(book, canary)
    sweep(book)

    (following,) = due(book)
    assert following.run_id == second
    ended = book.end(following, Outcome.SUCCEEDED)
    assert ended is not None
    assert [one.is_open for one in ended.breakers] == [False]


def test_a_canary_that_is_given_back_goes_again(book: Book) -> None:
    open_it(book)
    charges(book, 2)
    due(book)
    book.step(OPEN)
    (canary,) = due(book)
    book.give_back(canary)

    assert ids(due(book)) == [canary.run_id]


def test_a_chosen_run_that_is_cancelled_or_paused_is_replaced(book: Book) -> None:
    open_it(book)
    probe_at = book.now + timedelta(seconds=OPEN)
    first, second = charges(book, 2)
    elsewhere = charges(book, 1, queue="other", priority=-5)[0]
    due(book)
    book.claim(elsewhere, kinds=KINDS)
    book.cancel(first)
    book.pause("other")

    assert sweep(book) == [second]
    assert book.run(second).held_until == probe_at
    assert sweep(book) == []


def test_without_parked_runs_the_next_run_after_the_wait_is_the_canary(book: Book) -> None:
    open_it(book)
    book.step(OPEN)
    first, second = charges(book, 2)

    assert ids(due(book)) == [first]
    assert book.run(second).hold == "parked"


def test_kinds_share_a_breaker_of_one_name(book: Book) -> None:
    book.enqueue(kind="BreakerSync")
    book.enqueue(kind="BreakerPing")
    one, other = due(book)
    fail(book, one)
    (change,) = fail(book, other).breakers
    assert change.name == "provider"

    for kind in ("BreakerSync", "BreakerPing"):
        book.enqueue(kind=kind)
    assert due(book) == []
    book.step(10)
    (canary,) = due(book)
    book.end(canary, Outcome.SUCCEEDED)
    assert len(due(book)) == 1


def test_unchanged_rows_of_keys_are_deleted_after_a_day(book: Book) -> None:
    open_it(book, "a")
    open_it(book, "b")
    charges(book, 1, "b")
    due(book)
    book.step(90_000)

    with book.database.write() as connection:
        assert drop_idle_slices(connection, now=book.now) == 1
