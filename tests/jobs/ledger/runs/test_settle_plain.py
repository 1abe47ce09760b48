"""Plain successes are recorded by one statement; whatever is not plain is left for the careful way (R.5)."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from jobs.database.models import JobAttempt, JobRun
from jobs.database.own_connection import FOR_SETTLING
from jobs.ledger.runs.settle_plain import is_plain, settle_plain
from jobs.states import Outcome, RunState
from tests.book import Book, attempt_result, new_run


@pytest.fixture(autouse=True)
def only_on_postgresql(book: Book) -> None:
    if not book.is_postgresql:
        pytest.skip("SQLite does not write within a query")


def record(book: Book, *endings):
    with book.database.direct() as connection:
        return settle_plain(connection, endings, worker="w1", monotonic=0.0, now=book.now)


def test_plain_successes_end_with_their_results_and_attempts(book):
    claims = [book.start() for _ in range(3)]
    book.step(5)

    done = record(book, *(attempt_result(held, Outcome.SUCCEEDED, result=n) for n, held in enumerate(claims)))

    assert {one.claim.run_id for one, _ in done} == {held.run_id for held in claims}
    for n, held in enumerate(claims):
        run = book.run(held.run_id)
        assert (run.state, run.result, run.finished_at) == (RunState.SUCCEEDED, n, book.now)
        (attempt,) = book.attempts(held.run_id)
        assert (attempt.outcome, attempt.attempt, attempt.worker) == (Outcome.SUCCEEDED, 1, "w1")


def test_the_fast_way_returns_what_the_general_way_returns(book):
    plain, careful = book.start(), book.start()
    book.step(5)

    ((_, told),) = record(book, attempt_result(plain, Outcome.SUCCEEDED, result=1))
    ((_, expected),), _ = book.settle_with_care(attempt_result(careful, Outcome.SUCCEEDED, result=1))

    assert told._replace(run_id=careful.run_id) == expected
    stored = [book.attempts(held.run_id)[0] for held in (plain, careful)]
    assert (stored[0].started_at, stored[0].finished_at) == (stored[1].started_at, stored[1].finished_at)
    assert book.run(plain.run_id).started_at == book.run(careful.run_id).started_at


def test_a_lost_lease_a_cancelled_run_and_one_with_followups_are_left(book):
    mine, lost, cancelled, followed = (book.start() for _ in range(4))
    book.step(31)
    book.renew(mine, cancelled, followed)
    book.rescue()
    book.cancel(cancelled.run_id)
    book.change(followed.run_id, has_followups=True)

    done = record(book, *(attempt_result(held, Outcome.SUCCEEDED) for held in (mine, lost, cancelled, followed)))

    assert [one.claim.run_id for one, _ in done] == [mine.run_id]
    assert book.run(lost.run_id).state is RunState.QUEUED
    assert book.run(cancelled.run_id).state is RunState.RUNNING
    assert book.run(followed.run_id).state is RunState.RUNNING
    assert book.attempts(cancelled.run_id) == []


def test_a_batch_without_valid_leases_settles_nothing(book):
    held = book.start()
    book.step(31)
    book.rescue()

    assert record(book, attempt_result(held, Outcome.SUCCEEDED)) == []
    assert book.run(held.run_id).state is RunState.QUEUED


def test_a_run_whose_attempt_number_was_changed_is_left(book):
    held = book.start()
    book.change(held.run_id, attempt=2)

    assert record(book, attempt_result(held, Outcome.SUCCEEDED)) == []
    assert book.run(held.run_id).state is RunState.RUNNING


@pytest.mark.parametrize(
    "change", [{"outcome": Outcome.FAILED}, {"arguments": "{}"}, {"then": (1,)}, {"completes": (1,)}]
)
def test_an_ending_with_consequences_is_not_plain(book, change):
    held = book.start()

    plain = attempt_result(held, Outcome.SUCCEEDED, ago=1, elapsed=2)

    assert is_plain(plain)
    assert not is_plain(replace(plain, **change))


@pytest.mark.parametrize("keeps_plan", [False, True])
def test_before_the_table_is_analysed_it_joins_by_no_nested_loop(book, keeps_plan):
    way = _kept_plan(book) if keeps_plan else book.database.direct()
    claims = [book.start() for _ in range(200)]
    plans: list[str] = []
    with way as connection:
        book.insert([new_run() for _ in range(3000)])  # In a table of a few pages a sequential scan is the cheapest.
        run, begin = connection.run, connection.begin

        def explained(text, values):
            explain = f"explain {text}"
            plans.extend(row[0] for row in run(explain, values))
            return run(text, values)

        def explained_begin(rendered, given):
            if keeps_plan:
                parameters = rendered.binary.parameters(given)
                explain = connection._prepared.send(f"explain {rendered.binary.text}", parameters)()
                plans.extend(explain.get_value(row, 0).decode() for row in range(explain.ntuples))
            return begin(rendered, given)

        connection.run, connection.begin = explained, explained_begin
        settle_plain(
            connection,
            [attempt_result(held, Outcome.SUCCEEDED) for held in claims],
            worker="w1",
            monotonic=0.0,
            now=book.now,
        )

    plan = "\n".join(plans)
    assert "Hash Join" in plan, plan
    assert f"Scan on {JobAttempt.__tablename__}" not in plan
    assert f"Seq Scan on {JobRun.__tablename__}" not in plan


@contextmanager
def _kept_plan(book: Book):
    """A settler's connection, which keeps the plan that it made for another batch."""
    own = book.database.own_connection(without=FOR_SETTLING)
    with closing(own), own.opened() as direct:
        held = book.start()
        assert settle_plain(direct, [attempt_result(held, Outcome.SUCCEEDED)], worker="w1", monotonic=0.0, now=book.now)
        yield direct


def test_a_connection_that_prepares_statements_records_the_same_and_works_beside_the_server(book):
    claims = [book.start() for _ in range(3)]
    book.step(5)
    results = [1, None, "ü\n"]
    lost = replace(attempt_result(claims[0], Outcome.SUCCEEDED), claim=claims[0]._replace(attempt=7))
    endings = [attempt_result(one, Outcome.SUCCEEDED, result=n) for one, n in zip(claims, results, strict=True)]
    calls: list[str] = []

    own = book.database.own_connection(without=FOR_SETTLING)
    with closing(own), own.opened() as direct:
        given = {"worker": "w1", "monotonic": 0.0, "now": book.now}
        assert settle_plain(direct, [lost], **given) == []
        (first,) = settle_plain(direct, [endings[0]], **given, meanwhile=lambda: calls.append("beside"))
        rest = settle_plain(direct, [*endings[1:], lost], **given)

    assert calls == ["beside"]
    assert [one.claim.run_id for one, _ in [first, *rest]] == [held.run_id for held in claims]
    for held, result in zip(claims, results, strict=True):
        run = book.run(held.run_id)
        assert (run.state, run.result, run.finished_at) == (RunState.SUCCEEDED, result, book.now)
        assert [one.outcome for one in book.attempts(held.run_id)] == [Outcome.SUCCEEDED]
    careful = book.start()
    ((_, expected),), _ = book.settle_with_care(attempt_result(careful, Outcome.SUCCEEDED))
    assert first[1]._replace(run_id=careful.run_id) == expected
