"""Figures: counted once for all who ask, never older than their time, dropped on writes, and shown by permission."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from jobs.app import App
from jobs.definition.redaction import HIDDEN
from jobs.errors import Forbidden, ServiceDown
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import Failure
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.insight import overview
from jobs.operations.insight.cached_reports import MOST_KEPT, SHARE, STALE, CachedReports
from jobs.states import Outcome
from tests.book import Book
from tests.conftest import MakeApp
from tests.manual_clock import ManualClock

VIEWER = Operator("viewer", frozenset({Permission.RUNS_READ}))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def figures(sqlite_url: str, make_app: MakeApp, clock: ManualClock) -> CachedReports:
    return CachedReports(make_app(sqlite_url, clock=clock))


@pytest.fixture
def book(figures: CachedReports) -> Book:
    return Book(figures._app.database, now=datetime.now(UTC))


def test_a_report_is_cached_for_its_time_and_no_longer(
    figures: CachedReports, book: Book, clock: ManualClock, ada: Operator
) -> None:
    assert figures.counts(ada)["queued"].number == 0
    book.enqueue()

    clock.at = 1.9
    assert figures.counts(ada)["queued"].number == 0
    clock.at = 6.1
    assert figures.counts(ada)["queued"].number == 1


def test_a_stale_report_is_shown_while_it_is_refreshed_in_the_background(
    figures: CachedReports, book: Book, clock: ManualClock, ada: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures.counts(ada)
    book.enqueue()
    counted: list[str] = []
    go, done = threading.Event(), threading.Event()
    count = overview.counts

    def slow(app: App, operator: Operator) -> object:
        counted.append(threading.current_thread().name)
        assert go.wait(60)
        return count(app, operator)

    keep = figures._renewed
    monkeypatch.setattr(overview, "counts", slow)
    monkeypatch.setattr(figures, "_renewed", lambda *given: (keep(*given), done.set()))
    clock.at = 2.1
    assert [figures.counts(ada)["queued"].number for _ in range(5)] == [0] * 5
    go.set()
    assert done.wait(60)

    assert figures.counts(ada)["queued"].number == 1
    assert len(counted) == 1
    assert counted[0] != threading.current_thread().name
    figures.close()


def test_a_report_that_cannot_be_refreshed_is_shown_until_it_expires_and_then_fails(
    figures: CachedReports,
    clock: ManualClock,
    ada: Operator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    figures.counts(ada)

    def gone(app: App, operator: Operator) -> object:
        raise ServiceDown("The ledger is away.")

    monkeypatch.setattr(overview, "counts", gone)
    clock.at = 2.1
    assert figures.counts(ada)["queued"].number == 0
    figures.close()
    assert "could not be refreshed" in caplog.text
    clock.at = 6.1
    with pytest.raises(ServiceDown):
        figures.counts(ada)


def test_an_expensive_report_stays_fresh_for_longer(
    figures: CachedReports, book: Book, clock: ManualClock, ada: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = overview.counts

    def slow(app: App, operator: Operator) -> object:
        clock.at += 0.1
        return count(app, operator)

    monkeypatch.setattr(overview, "counts", slow)
    figures.counts(ada)
    book.enqueue()

    clock.at = 0.1 + 0.1 * SHARE - 0.1
    assert figures.counts(ada)["queued"].number == 0
    assert not figures._renewing
    clock.at = 0.1 + STALE * 0.1 * SHARE + 0.1
    assert figures.counts(ada)["queued"].number == 1


def test_a_change_drops_a_report_even_while_it_is_computed(
    figures: CachedReports, book: Book, ada: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures.counts(ada)
    book.enqueue()
    figures.drop()
    assert figures.counts(ada)["queued"].number == 1

    count = overview.counts

    def slow(app: App, operator: Operator) -> object:
        found = count(app, operator)
        book.enqueue()
        figures.drop()
        return found

    figures.drop()
    monkeypatch.setattr(overview, "counts", slow)
    figures.counts(ada)
    monkeypatch.setattr(overview, "counts", count)
    assert figures.counts(ada)["queued"].number == 2


def test_each_query_has_its_own_report_and_their_number_is_bounded(
    figures: CachedReports, book: Book, ada: Operator
) -> None:
    book.enqueue(queue="mail")

    assert figures.count(ada, Selector(queues=("mail",))).number == 1
    assert figures.count(ada, Selector(queues=("other",))).number == 0
    for number in range(MOST_KEPT + 10):
        figures.count(ada, Selector(queues=(f"queue{number}",)))
    assert len(figures._kept) == MOST_KEPT


def test_a_cached_report_is_not_shown_without_the_permission(figures: CachedReports, book: Book, ada: Operator) -> None:
    held = book.start(max_attempts=1)
    book.end(held, Outcome.FAILED, failure=Failure("ValueError", "card 4242", None, "ab12"))

    said = [one.error_message for one in figures.dead_groups(ada)]
    hidden = [one.error_message for one in figures.dead_groups(VIEWER)]

    assert said == ["card 4242"]
    assert hidden == [HIDDEN]
    with pytest.raises(Forbidden):
        figures.dead_groups(Operator("nobody", frozenset()))
    with pytest.raises(Forbidden):
        figures.count(VIEWER, Selector(arguments=(("card", "1"),)))


def test_concurrent_readers_compute_a_report_once(
    figures: CachedReports, ada: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    go = threading.Event()
    count = overview.counts

    def slow(app: App, operator: Operator) -> object:
        counted.append(1)
        assert go.wait(60)
        return count(app, operator)

    monkeypatch.setattr(overview, "counts", slow)
    asking = [threading.Thread(target=figures.counts, args=(ada,)) for _ in range(8)]
    for one in asking:
        one.start()
    go.set()
    for one in asking:
        one.join(60)

    assert counted == [1]
