"""Claims under rates: what exceeds one is parked until its slot, which stands for that attempt alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from jobs import Job, Limit, Rate
from jobs.database.models import JobRateSlot
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.limits.counts import declare
from jobs.ledger.limits.replan import replan
from jobs.ledger.limits.sweep import drop_idle_keys, drop_stale_slots
from jobs.ledger.records import Claim
from jobs.states import FAR, Outcome, RunState
from tests.book import START, Book

KINDS = ("RateCall", "RateBoth", "RateKeyed")
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class RateCall(Job, limits=Rate(600, per=MINUTE, name="rate-api", burst=2)):
        def perform(self) -> None: ...

    class RateBoth(Job, limits=[Limit(1, name="rate-both"), Rate(600, per=MINUTE, name="rate-both")]):
        def perform(self) -> None: ...

    class RateKeyed(Job, limits=[Rate(60, per=MINUTE, by="account"), Rate(1200, per=MINUTE, name="rate-all")]):
        account: str

        def perform(self) -> None: ...

    yield
    for kind in KINDS:
        registry.forget(kind)
        limited_kinds.pop(kind)


@pytest.fixture(autouse=True)
def declared(book: Book) -> None:
    with book.database.write() as connection:
        declare(connection, limits_of(KINDS), now=book.now)


def calls(book: Book, count: int, kind: str = "RateCall", **given: Any) -> list[UUID]:
    runs = []
    for _ in range(count):
        book.step(0.000001)
        runs.append(book.enqueue(kind=kind, **given))
    return runs


def due(book: Book, count: int = 100) -> list[Claim]:
    return book.claim_due(count, kinds=KINDS)


def ids(claims: list[Claim]) -> list[UUID]:
    return [one.run_id for one in claims]


def slots(book: Book, runs: list[UUID]) -> list[float]:
    """Seconds from the start to the slots of parked runs."""
    return [round((book.run(one).held_until or FAR).timestamp() - START.timestamp(), 3) for one in runs]


def reservations(book: Book) -> int:
    with book.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(JobRateSlot)) or 0


def test_what_exceeds_a_rate_is_parked_until_its_slot_uncharged_and_untried(book: Book) -> None:
    runs = calls(book, 5)

    assert ids(due(book)) == runs[:2]
    assert slots(book, runs[2:]) == [0.1, 0.2, 0.3]
    for run_id in runs[2:]:
        run = book.run(run_id)
        assert (run.state, run.hold, run.held_on, run.attempt, run.charged, run.worker) == (
            RunState.QUEUED, "parked", "rate:rate-api", 0, 0, None,
        )  # fmt: skip
        assert book.attempts(run_id) == []
    assert due(book) == []


def test_a_run_starts_on_its_slot_and_reserves_no_second_one(book: Book) -> None:
    runs = calls(book, 5)
    due(book)

    started = []
    for _ in range(3):
        book.step(0.1)
        started += ids(due(book))

    assert started == runs[2:]
    assert book.attempts(runs[-1]) == []
    assert [book.run(one).attempt for one in runs] == [1] * 5


def test_a_claim_that_is_given_back_keeps_its_slot_and_a_retry_needs_another(book: Book) -> None:
    runs = calls(book, 4)
    first, second = due(book)
    book.give_back(first)
    book.end(second, Outcome.FAILED, delay=0.0)

    book.step(0.1)
    assert ids(due(book)) == [first.run_id]
    # Not 0.3: nobody can tell that the claim which was given back did not use the rate.
    assert slots(book, [second.run_id]) == [0.35]
    book.step(0.25)
    assert {*ids(due(book)), first.run_id} >= set(runs[2:])


def test_a_run_whose_slot_comes_while_a_limit_is_full_keeps_its_reservation(book: Book) -> None:
    one, two, three = calls(book, 3, "RateBoth")
    (held,) = due(book)
    assert held.run_id == one
    assert {book.run(run).held_on for run in (two, three)} == {"limit:rate-both"}
    assert reservations(book) == 1

    book.end(held, Outcome.SUCCEEDED)
    assert [due(book), due(book)] == [[], []], "each gives the slot of the limit on when it is parked on the rate"
    assert slots(book, [two, three]) == [0.1, 0.2]
    book.step(0.2)
    (held,) = due(book)
    assert held.run_id == two
    assert (book.run(three).held_on, book.run(three).held_until) == ("limit:rate-both", None)
    book.step(5)
    book.end(held, Outcome.SUCCEEDED)
    assert ids(due(book)) == [three]
    assert book.run(three).attempt == 1


def test_a_run_needs_slots_of_all_of_its_rates_and_keys_have_their_own(book: Book) -> None:
    book.enqueue(kind="RateKeyed", arguments={"account": "a"})
    parked = book.enqueue(kind="RateKeyed", arguments={"account": "a"})
    other = book.enqueue(kind="RateKeyed", arguments={"account": "b"})

    assert len(due(book)) >= 1
    assert str(book.run(parked).held_on).startswith("rate:RateKeyed#")
    assert slots(book, [parked]) == [1.0]
    book.step(0.1)
    assert other in ids(due(book)) or book.run(other).state == RunState.RUNNING


def test_reservations_keep_their_order_and_an_urgent_run_goes_before_them(book: Book) -> None:
    runs = calls(book, 10)
    due(book)
    (urgent,) = calls(book, 1, priority=-1)

    started: list[UUID] = []
    for _ in range(30):
        started += ids(due(book))
        book.step(0.05)

    assert started[0] == urgent
    assert started[1:] == runs[2:]


def test_workers_that_were_away_start_no_burst_of_overdue_runs(book: Book) -> None:
    runs = calls(book, 40)
    due(book)
    book.step(60)

    first = ids(due(book))
    moments: list[datetime] = []
    while len(moments) + len(first) < 38:
        book.step(0.05)
        moments += [book.now for _ in due(book)]

    assert first == runs[2 : 2 + len(first)]
    assert len(first) <= 3
    assert max(sum(1 for at in moments if start <= at < start + timedelta(seconds=1)) for start in moments) <= 12


def test_a_cancelled_run_does_not_use_its_slot_and_its_reservation_is_dropped_later(book: Book) -> None:
    runs = calls(book, 4)
    due(book)

    book.cancel(runs[2])

    assert book.run(runs[2]).hold is None
    assert slots(book, runs[3:]) == [0.2]
    book.step(7200)
    book.rescue()
    with book.database.write() as connection:
        drop_stale_slots(connection, now=book.now)
    assert reservations(book) == 1, "that of the last: the others run no more"


def test_another_rate_plans_parked_runs_anew_in_their_order(book: Book) -> None:
    runs = calls(book, 30)
    due(book)
    with book.database.write() as connection:
        changed = declare(connection, [Rate(6000, per=MINUTE, name="rate-api", burst=2)], now=book.now)
        assert changed == ["rate-api"]
        assert declare(connection, [Rate(6000, per=MINUTE, name="rate-api", burst=2)], now=book.now) == []
        freed = replan(connection, ("rate-api", ""), now=book.now)

    assert len(freed) == 28
    started = ids(due(book))
    for _ in range(60):
        book.step(0.005)
        started += ids(due(book))
    assert started == runs[2:]


def test_the_row_of_a_key_stays_while_its_rate_is_used(book: Book) -> None:
    book.enqueue(kind="RateKeyed", arguments={"account": "a"})
    (held,) = due(book)
    book.end(held, Outcome.SUCCEEDED)

    def dropped() -> int:
        with book.database.write() as connection:
            return drop_idle_keys(connection, now=book.now)

    assert reservations(book) == 0
    assert dropped() == 0
    book.step(90_000)
    assert dropped() == 1
