"""Backpressure: a full queue or kind refuses, drops or waits; what the ledger has accepted already is never refused."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

import jobs
from jobs.app import App
from jobs.errors import EnqueueRefused, QueueFull
from jobs.ledger.admission.waiting_count import count_waiting
from jobs.ledger.operators.queue_values import set_max_waiting
from jobs.operations.audit.operator import Operator
from jobs.operations.runs.enqueue import enqueue_run
from jobs.operations.runs.enqueue_bulk import RunCall, enqueue_bulk
from jobs.states import Outcome
from tests.book import Book

MOMENT = timedelta(milliseconds=1)


class Narrow(jobs.Job, kind="room.Narrow", max_waiting=3):
    n: int = 0

    def perform(self) -> None: ...


class Lossy(jobs.Job, kind="room.Lossy", max_waiting=3, on_full="drop"):
    n: int = 0

    def perform(self) -> None: ...


class Free(jobs.Job, kind="room.Free", queue="roomy"):
    n: int = 0

    def perform(self) -> None: ...


@pytest.fixture
def book(app: App) -> Book:
    return Book(app.database, now=app.clock.now() + timedelta(hours=1))


ADA = Operator("ada")


def limit(app: App, queue: str, most: int | None) -> None:
    with app.database.write() as connection:
        set_max_waiting(connection, queue, most)
    app.backlogs.forget()


def waiting(app: App, what: str, name: str) -> int:
    with app.database.read() as connection:
        return count_waiting(connection, what, name, most=10_000)


def test_an_enqueue_beyond_the_limit_is_refused_with_the_numbers_and_goes_through_after_a_claim(
    app: App, book: Book
) -> None:
    for n in range(3):
        Narrow(n=n).enqueue()

    with pytest.raises(QueueFull, match=r"room\.Narrow is full: 3 runs wait, and max_waiting allows 3") as told:
        Narrow(n=3).enqueue()

    assert (told.value.what, told.value.name, told.value.waiting, told.value.max_waiting, told.value.code) == (
        "kind", "room.Narrow", 3, 3, "queue_full"
    )  # fmt: skip
    assert waiting(app, "kind", "room.Narrow") == 3
    book.claim_due(1, kinds=["room.Narrow"])
    Narrow(n=4).enqueue(queue="another")  # A kind's limit counts its runs in all queues.
    with pytest.raises(QueueFull):
        Narrow(n=5).enqueue()


def test_a_queue_that_an_operator_limits_refuses_every_way_in_and_is_free_again_without_it(app: App) -> None:
    limit(app, "roomy", 2)
    assert not any(one.is_dropped for one in jobs.enqueue_many([Free(n=1), Free(n=2)]))

    def in_a_batch() -> None:
        with jobs.batch("full") as batch:
            batch.add(Free(n=3))

    for way in (
        lambda: Free(n=3).enqueue(),
        lambda: Free(n=3).enqueue(key="k"),
        lambda: asyncio.run(Free(n=3).enqueue_async()),
        lambda: jobs.enqueue_many([Free(n=3), Free(n=4)]),
        lambda: jobs.enqueue_many(Free(n=n) for n in range(200)),
        lambda: enqueue_run(app, ADA, "room.Free", {"n": 3}),
        lambda: enqueue_bulk(app, ADA, [RunCall("room.Free", {"n": 3})]),
        in_a_batch,
    ):
        with pytest.raises(QueueFull, match="The queue roomy is full: 2 runs wait"):
            way()

    assert waiting(app, "queue", "roomy") == 2
    limit(app, "roomy", None)
    assert len(jobs.enqueue_many(Free(n=n) for n in range(200))) == 200


def test_many_are_enqueued_all_or_none_and_those_that_fit_with_drop(app: App) -> None:
    with pytest.raises(QueueFull):
        jobs.enqueue_many([Narrow(n=n) for n in range(4)])
    assert waiting(app, "kind", "room.Narrow") == 0

    made = jobs.enqueue_many([*(Lossy(n=n) for n in range(5)), Free(n=0)])

    assert [one.is_dropped for one in made] == [False, False, False, True, True, False]
    assert [jobs.find(made[place].id).arguments["n"] for place in (0, 1, 2, 5)] == [0, 1, 2, 0]
    assert Lossy(n=6).enqueue().is_dropped
    with pytest.raises(QueueFull):
        Lossy(n=7).enqueue(on_full="raise")


def test_a_copy_of_many_blocks_keeps_those_that_fit_or_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.client.many.BLOCK", 100)
    limit(app, "roomy", 150)

    with pytest.raises(QueueFull):
        jobs.enqueue_many(Free(n=n) for n in range(200))
    assert waiting(app, "queue", "roomy") == 0
    made = jobs.enqueue_many((Free(n=n) for n in range(200)), on_full="drop")

    assert [one.is_dropped for one in made] == [False] * 150 + [True] * 50
    assert waiting(app, "queue", "roomy") == 150


def test_in_a_transaction_a_full_queue_is_refused_at_once_and_the_transaction_goes_on(app: App) -> None:
    limit(app, "roomy", 1)
    with app.database.engine.connect() as connection, connection.begin():
        if app.database.dialect == "sqlite":
            connection.exec_driver_sql("select 1")
        session = Session(connection, join_transaction_mode="create_savepoint")
        Free(n=0).enqueue(session=session)
        with pytest.raises(QueueFull):
            Free(n=1).enqueue(session=session, on_full="wait", full_timeout=timedelta(hours=1))
        assert Free(n=1).enqueue(session=session, on_full="drop").is_dropped
        session.commit()

    assert waiting(app, "queue", "roomy") == 1


def test_a_caller_waits_until_there_is_room_and_no_longer_than_it_said(app: App, book: Book) -> None:
    limit(app, "roomy", 1)
    Free(n=0).enqueue()
    with pytest.raises(QueueFull):
        Free(n=1).enqueue(on_full="wait", full_timeout=MOMENT)
    with pytest.raises(QueueFull):
        asyncio.run(Free(n=1).enqueue_async(on_full="wait", full_timeout=MOMENT))
    with pytest.raises(QueueFull):  # There would never be room.
        jobs.enqueue_many([Free(n=1), Free(n=2)], on_full="wait", full_timeout=timedelta(hours=1))

    looked = threading.Event()

    def look(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "count(" in statement:
            looked.set()

    event.listen(app.database.engine, "before_cursor_execute", look)
    freed = threading.Thread(target=lambda: looked.wait(60) and book.claim_due(queue="roomy", kinds=["room.Free"]))
    freed.start()
    made = Free(n=1).enqueue(on_full="wait", full_timeout=timedelta(seconds=90))
    freed.join()

    assert made.created
    assert waiting(app, "queue", "roomy") == 1


def test_what_follows_from_an_accepted_run_is_made_in_a_full_queue(app: App, book: Book) -> None:
    first = Free(n=0).enqueue(on_success=[Free(n=1)])
    limit(app, "roomy", 1)
    (claim,) = book.claim_due(queue="roomy", kinds=["room.Free"])
    Free(n=2).enqueue()  # It fills the queue.

    book.end(claim, Outcome.SUCCEEDED)

    assert jobs.find(first.id).state is jobs.RunState.SUCCEEDED
    assert waiting(app, "queue", "roomy") == 2


def test_a_process_counts_again_only_when_it_must(app: App) -> None:
    limit(app, "roomy", 100_000)
    counted: list[str] = []
    event.listen(
        app.database.engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, *_: counted.append(statement) if "job_queues" in statement
        or "count(" in statement else None,
    )  # fmt: skip
    for n in range(50):
        Free(n=n).enqueue()
    assert len(counted) == 2, counted

    limit(app, "roomy", None)
    counted.clear()
    for n in range(50):
        Free(n=n).enqueue()
    assert len(counted) == 1, counted


@pytest.mark.parametrize(
    "options",
    [{"on_full": "explode"}, {"full_timeout": timedelta(days=2)}, {"on_full": "drop", "full_timeout": MOMENT}],
)
def test_options_that_mean_nothing_are_refused(app: App, options: dict[str, Any]) -> None:
    with pytest.raises(EnqueueRefused, match=r"on_full=|full_timeout="):
        Free(n=0).enqueue(**options)


@pytest.mark.parametrize("options", [{"max_waiting": 0}, {"max_waiting": True}, {"on_full": "later"}])
def test_a_class_with_options_that_mean_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(jobs.DefinitionError, match=r"max_waiting|on_full"):
        type("Wrong", (jobs.Job,), {}, kind="room.Wrong", **options)
