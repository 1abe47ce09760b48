"""Claims from a great backlog begin where the last one began, and look at the start now and then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs import boot, enqueue_many
from jobs.app import App
from jobs.client.job import Job
from jobs.clock import SystemClock
from jobs.database.direct_statements import DirectConnection
from jobs.errors import LedgerRefused
from jobs.ledger.records import Claim
from jobs.ledger.runs import claim as claiming
from jobs.ledger.runs.give_back import give_back
from tests.book import LEASE, Book, new_run
from worker.exchange.claim_places import FROM_THE_START_SECONDS, ClaimPlaces
from worker.exchange.source import LedgerSource
from worker.exchange.wakeups import PollingWakeup


class PlacedNote(Job, queue="placed"):
    def perform(self) -> None:
        pass


class Hand(SystemClock):
    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


def ids(claims: Sequence[Claim]) -> list[UUID]:
    return [one.run_id for one in claims]


def place_of(claim: Claim) -> claiming.Place:
    return claim.priority, claim.run_at, claim.run_id


@pytest.fixture
def book(pg_database: str, make_app: Any) -> Book:
    return Book(make_app(pg_database).database)


def due(direct: DirectConnection, count: int, **places: claiming.Place) -> list[Claim]:
    return claiming.claim_due_direct(
        direct, ["default", "second"], count=count, kinds=["Mail"], worker="w", lease=LEASE, places=places
    )


def test_a_claim_from_a_place_passes_over_the_runs_before_it_and_no_others(book: Book) -> None:
    first, second, third = (book.enqueue(run_at=book.now + n * LEASE / 30) for n in range(3))
    urgent, later, other = book.enqueue(priority=-1), book.enqueue(priority=7), book.enqueue(queue="second")
    book.step(60)
    with book.database.direct() as direct:
        (one,) = due(direct, 1, second=(-2, book.now, first))
        assert one.run_id == urgent
        place = (0, book.run(second).run_at, second)

        assert ids(due(direct, 10, default=place)) == [second, third, later, other]
        assert ids(due(direct, 10)) == [first]


def test_a_claim_from_a_place_does_not_read_what_was_claimed_before(book: Book) -> None:
    with book.database.write() as connection:
        connection.execute(text("alter table job_runs set (autovacuum_enabled = off)"))
    book.insert([new_run() for _ in range(6000)])
    place = [place_of(book.claim_due(2000)[-1]) for _ in range(3)][-1]
    book.insert([new_run() for _ in range(100)])

    with book.database.direct() as direct:
        from_there = pages_read(direct, default=place)
        from_the_start = pages_read(direct)

    assert from_there < from_the_start / 2


def pages_read(direct: DirectConnection, **places: claiming.Place) -> int:
    """Pages that the search of a claim reads."""
    pages: list[int] = []
    run = direct.run

    def explained(text: str, values: Any) -> list[Sequence[Any]]:
        explain = f"explain (analyze, buffers, format json) {text}"
        ((plan,),) = run(explain, values)
        pages.append(int(plan[0]["Plan"]["Shared Hit Blocks"]))
        return []

    direct.run = explained  # type: ignore[method-assign]
    assert due(direct, 1, **places) == []
    direct.run = run  # type: ignore[method-assign]
    return pages[0]


@pytest.fixture
def clock() -> Hand:
    return Hand(seed=1)


def claimed(*priorities: int) -> list[Claim]:
    return [new_claim(number, priority) for number, priority in enumerate(priorities)]


def new_claim(number: int, priority: int) -> Claim:
    made = SystemClock().now()
    return Claim(
        UUID(int=number), UUID(int=number), "Mail", "default", priority, 1, 0, 0, 0, 1, "{}", 1, made, made, made, None,
        None, None, None,
    )  # fmt: skip


def test_the_next_claim_begins_at_the_last_run_of_this_one(clock: Hand) -> None:
    places = ClaimPlaces(clock)
    claims = claimed(0, 0, 5, 5)

    places.came_to(claims)

    assert places.now() == {"default": place_of(claims[3])}


def test_every_half_second_a_claim_begins_at_the_start(clock: Hand) -> None:
    places = ClaimPlaces(clock)
    for _ in range(4):
        places.came_to(claimed(0))
        assert places.now()
        clock.seconds += FROM_THE_START_SECONDS / 4

    assert places.now() == {}


@pytest.fixture
def source(pg_database: str, make_app: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[LedgerSource]:
    app: App = make_app(pg_database)
    monkeypatch.setattr(boot, "_app", app)
    wakeup = PollingWakeup(app)
    with closing(LedgerSource(app, queues=["placed"], kinds=["PlacedNote"], worker="w", wakeup=wakeup)) as source:
        yield source


def test_a_run_that_went_back_is_claimed_once_those_behind_it_are_not_enough(source: LedgerSource) -> None:
    made = [one.id for one in enqueue_many([PlacedNote() for _ in range(6)])]
    first = source.claim(2, wait_seconds=1)
    source.claim(2, wait_seconds=1)
    with boot.current().database.write() as connection:
        give_back(connection, [(one.run_id, one.token) for one in first])

    rest = source.claim(4, wait_seconds=1)

    assert sorted(ids(rest)) == sorted([*made[:2], *made[4:]])


def test_claims_before_a_refused_one_are_kept(source: LedgerSource, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [one.id for one in enqueue_many([PlacedNote() for _ in range(3)])]
    source.claim(2, wait_seconds=1)
    real = claiming.claim_due_direct

    def refused_from_the_start(*given: Any, places: Any, **more: Any) -> list[Claim]:
        if not places:
            raise LedgerRefused("not this row")
        return real(*given, places=places, **more)

    monkeypatch.setattr("worker.exchange.source.claim_due_direct", refused_from_the_start)

    assert ids(source.claim(4, wait_seconds=1)) == made[2:]
