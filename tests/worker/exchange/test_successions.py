"""Successions: which parked runs a process claims as its attempts end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from jobs import Job, Limit
from jobs.app import App
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.limits.counts import declare
from jobs.ledger.records import Claim
from jobs.states import Outcome
from tests.book import Book, attempt_result
from tests.waiting import wait_until
from worker.exchange.fetcher import Fetcher
from worker.exchange.held_leases import HeldLeases
from worker.exchange.prefetch import PrefetchLimit
from worker.exchange.settler import Settler
from worker.protocol.running_table import RunningRows, RunningTable

KINDS = ["SuccessionCall"]


class Parking:
    """A source whose claims find runs, and park them all."""

    def __init__(self) -> None:
        self.claimed = threading.Event()

    def queues(self) -> Sequence[str]:
        return ["default"]

    def claim(self, count: int, *, wait_seconds: float, kinds: Sequence[str] | None = None) -> list[Claim]:
        if self.claimed.is_set():
            threading.Event().wait(0.01)
        self.claimed.set()
        return []

    def close(self) -> None: ...


@pytest.fixture
def app(pg_database: str, make_app: Callable[..., App]) -> App:
    """On PostgreSQL: only there does a process claim parked runs as attempts end."""
    return make_app(pg_database)


@pytest.fixture
def book(app: App) -> Iterator[Book]:
    class SuccessionCall(Job, limits=Limit(2)):
        def perform(self) -> None: ...

    made = Book(app.database)
    with made.database.write() as connection:
        declare(connection, limits_of(KINDS), now=made.now)
    yield made
    registry.forget("SuccessionCall")
    limited_kinds.pop("SuccessionCall")


def test_a_process_whose_claims_park_runs_starts_the_parked_runs_that_get_its_slots(app: App, book: Book) -> None:
    for _ in range(4):
        book.step(1)
        book.enqueue(kind="SuccessionCall")
    held = book.claim_due(10, kinds=KINDS)
    assert len(held) == 2
    table, leases, ahead, source = RunningTable(1), HeldLeases(), PrefetchLimit(8, app.clock), Parking()
    settler = Settler(app, leases, ahead, RunningRows(table.fd, 0), worker="w1")
    fetcher = Fetcher(app, source, settler, leases, ahead, threads=4, kinds=KINDS)
    fetcher.start()
    try:
        assert source.claimed.wait(60)
        wait_until(lambda: settler.successions.is_hungry, seconds=10)

        with book.database.direct() as direct:
            ends = [attempt_result(one, Outcome.SUCCEEDED) for one in held]
            done = settler.successions.settle(direct, ends, 0.0)
    finally:
        fetcher.stop_claiming()
        fetcher.join(60)
        table.close()

    assert len(done.settled) == 2
    assert len(done.started) == 2, "they do not wait in their queue for another claim"
    assert {one.run_id for one in leases.all()} == {one.run_id for one in done.started}
