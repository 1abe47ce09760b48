"""An attempt that ends in its job's own transaction, by one statement if its kind has limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select, text

from jobs import Job, Limit, Rate
from jobs.database.models import JobLimitSlot, JobRateSlot
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.ledger.limits.counts import declare
from jobs.ledger.records import AttemptResult, Claim, RecordedAttempt
from jobs.ledger.runs.settle import settle_one
from jobs.states import Outcome, RunState
from tests.book import Book, attempt_result

KIND = "SettleOneCall"
CALLS = Rate(1000, per=timedelta(seconds=1), burst=1000, name="settle-one-rate")


@pytest.fixture(autouse=True)
def kind(book: Book) -> Iterator[None]:
    class SettleOneCall(Job, limits=[Limit(2), CALLS]):
        def perform(self) -> None: ...

    with book.database.write() as connection:
        declare(connection, limits_of([KIND]), now=book.now)
    yield
    registry.forget(KIND)
    limited_kinds.pop(KIND)


def started(book: Book, count: int) -> list[Claim]:
    for _ in range(count):
        book.step(1)
        book.enqueue(kind=KIND)
    return book.claim_due(count, kinds=[KIND])


def ended(book: Book, ending: AttemptResult) -> RecordedAttempt | None:
    with book.database.write() as connection:
        return settle_one(connection, ending, worker="w1", poison_after=3, monotonic=0.0, now=book.now)


def test_it_records_the_success_and_hands_the_slot_to_the_next_parked_run(book: Book) -> None:
    first, second = started(book, 4)
    book.step(5)

    done = ended(book, attempt_result(first, Outcome.SUCCEEDED, result=7))

    assert done is not None
    assert (done.state, done.outcome, done.attempt) == (RunState.SUCCEEDED, Outcome.SUCCEEDED, 1)
    run = book.run(first.run_id)
    assert (run.state, run.result, run.finished_at) == (RunState.SUCCEEDED, 7, book.now)
    assert [one.outcome for one in book.attempts(first.run_id)] == [Outcome.SUCCEEDED]
    (ready,) = done.followed_by
    assert [one.run_id for one in book.claim_due(4, kinds=[KIND])] == [ready.run_id]
    with book.database.read() as connection:
        slots = connection.scalars(select(JobLimitSlot.run_id)).all()
        reserved = connection.scalars(select(JobRateSlot.run_id)).all()
    assert set(slots) == {second.run_id, ready.run_id}
    assert first.run_id not in reserved


def test_a_slot_that_nobody_waits_for_is_named_so_that_the_caller_looks_again(book: Book) -> None:
    (only,) = started(book, 1)

    done = ended(book, attempt_result(only, Outcome.SUCCEEDED))

    assert done is not None
    assert done.followed_by == ()
    assert done.slots_left == (((KIND, ""),) if book.is_postgresql else ())
    with book.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(JobLimitSlot)) == 0


def test_a_lost_lease_is_refused_and_its_slot_stays_with_the_next_attempt(book: Book) -> None:
    (lost,) = started(book, 1)
    book.step(31)
    book.rescue()
    (again,) = book.claim_due(1, kinds=[KIND])

    assert ended(book, attempt_result(lost, Outcome.SUCCEEDED)) is None

    assert book.run(again.run_id).state == RunState.RUNNING
    with book.database.read() as connection:
        assert connection.scalars(select(JobLimitSlot.token)).all() == [again.token]


def test_a_number_that_another_program_has_taken_is_passed_over(book: Book) -> None:
    (claim,) = started(book, 1)
    with book.database.write() as connection:
        connection.execute(
            text(
                "insert into job_attempts (run_id, attempt, token, outcome, started_at, finished_at) "
                "select id, 1, id, 'failed', started_at, started_at from job_runs"
            )
        )

    done = ended(book, attempt_result(claim, Outcome.SUCCEEDED))

    assert done is not None
    assert done.attempt == 2
    assert [one.attempt for one in book.attempts(claim.run_id)] == [1, 2]


def test_on_postgresql_it_is_one_statement_while_nobody_is_parked(book: Book) -> None:
    if not book.is_postgresql:
        pytest.skip("SQLite does not write within a query")
    (only,) = started(book, 1)
    sent: list[str] = []

    with book.database.write() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: sent.append(given[2]))
        settle_one(
            connection, attempt_result(only, Outcome.SUCCEEDED), worker="w1", poison_after=3, monotonic=0.0,
            now=book.now,
        )  # fmt: skip

    assert len(sent) == 1
