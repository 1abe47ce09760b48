"""Overview: figures that stop at a cap, minutes without gaps, and ages of what waits longest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.app import App
from jobs.errors import Forbidden
from jobs.ledger.queries import series
from jobs.ledger.queries.pagination import RunCount
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.control.pause import pause
from jobs.operations.insight import overview
from jobs.states import Outcome, RunState
from tests.book import Book, attempt_result


def test_counts_stop_at_the_cap_and_say_so(app: App, ada: Operator, book: Book) -> None:
    for state in (RunState.DEAD, RunState.SUCCEEDED, RunState.SUCCEEDED, RunState.SUCCEEDED):
        book.bring(state)
    book.enqueue()
    book.enqueue(delay_seconds=3600.0)

    found = overview.counts(app, ada, most=2)

    assert {word: str(number) for word, number in found.items()} == {
        "queued": "2", "running": "0", "succeeded": "2+", "dead": "1", "cancelled": "0", "ready": "1",
        "scheduled": "1", "retrying": "0", "parked": "0", "waiting": "0",
    }  # fmt: skip
    assert overview.count(app, ada, Selector(), most=6) == RunCount(6)
    assert overview.count(app, ada, Selector(), most=5) == RunCount(5, True)
    assert str(RunCount(10_000, True)) == "10,000+"


def test_minutes_have_no_gaps_and_part_failures_from_interruptions(app: App, ada: Operator, book: Book) -> None:
    book.now = book.now.replace(second=10, microsecond=0) - timedelta(minutes=5)
    first = book.now
    book.end(book.start(), Outcome.SUCCEEDED)
    book.end(book.start(), Outcome.FAILED)
    book.end(book.start(), Outcome.SNOOZED)
    book.step(120)
    book.end(book.start(), Outcome.TIMED_OUT)

    found = overview.throughput(app, ada, since=first, until=first + timedelta(minutes=3))

    minute = first.replace(second=0)
    assert not found.is_capped
    assert found.minutes == [
        series.Minute(minute, succeeded=1, failed=1, other=1),
        series.Minute(minute + timedelta(minutes=1)),
        series.Minute(minute + timedelta(minutes=2), failed=1),
        series.Minute(minute + timedelta(minutes=3)),
    ]


def test_a_series_that_may_not_read_all_begins_with_its_first_whole_minute(app: App, book: Book) -> None:
    book.now = book.now.replace(second=10, microsecond=0) - timedelta(minutes=5)
    first = book.now
    for _ in range(3):
        book.end(book.start(), Outcome.SUCCEEDED)
        book.end(book.start(), Outcome.SUCCEEDED)
        book.step(60)

    with app.database.read() as connection:
        found = series.minutes(connection, since=first, until=first + timedelta(minutes=3), most=3)

    # One of the second minute's two was read, which is no figure of that minute.
    assert found.is_capped
    assert found.minutes[0] == series.Minute(first.replace(second=0) + 2 * series.MINUTE, succeeded=2)


def test_latencies_are_from_due_to_start_and_from_start_to_end(app: App, ada: Operator, book: Book) -> None:
    book.now -= timedelta(minutes=5)
    book.enqueue()
    book.enqueue(kind="Other", queue="slow")
    book.step(4)
    (held,) = book.claim_due(1)
    book.step(2)
    book.settle(replace(attempt_result(held, Outcome.SUCCEEDED), elapsed_seconds=2.0))

    (found,) = overview.latencies(app, ada)

    assert (found.kind, found.queue, found.attempts) == ("Mail", "default", 1)
    assert found.took_p50 == found.took_p95 == pytest.approx(2.0, abs=0.01)
    assert found.wait_p50 == found.wait_p95 == pytest.approx(4.0, abs=0.01)


def test_the_oldest_of_paused_queues_are_told_apart(app: App, ada: Operator, book: Book) -> None:
    assert overview.oldest(app, ada) == overview.Oldest(ready=None, ready_paused=None, running=None, dead=None)
    for hours, queue in ((5, "still"), (4, "default")):
        book.now -= timedelta(hours=hours)
        book.enqueue(queue=queue)
        book.now += timedelta(hours=hours)
    book.now -= timedelta(hours=3)
    book.bring(RunState.DEAD)
    book.now += timedelta(hours=1)
    book.start()
    pause(app, ada, "queue", "still")

    found = overview.oldest(app, ada)

    seconds = [found.ready, found.ready_paused, found.running, found.dead]
    assert seconds == [pytest.approx(hours * 3600, abs=600) for hours in (4, 5, 2, 3)]


def test_reports_need_the_permission_to_read(app: App) -> None:
    nobody = Operator("eve", frozenset())

    for ask in (overview.counts, overview.throughput, overview.latencies, overview.oldest):
        with pytest.raises(Forbidden, match="eve"):
            ask(app, nobody)
