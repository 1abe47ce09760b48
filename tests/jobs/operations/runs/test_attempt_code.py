"""The code that performed an attempt: the release that its worker reported, the class, the limit, and the steps."""

from __future__ import annotations

from datetime import timedelta

from jobs.app import App
from jobs.ledger import workers
from jobs.ledger.effects import steps
from jobs.ledger.releases import find_releases, forget_releases, record_release
from jobs.operations.audit.operator import Operator
from jobs.operations.runs.attempt_code import AttemptCode, codes_of
from jobs.operations.runs.inspect import find_run
from jobs.states import Outcome
from tests.book import Book, attempt_result


def test_two_attempts_are_told_apart_by_release_class_limit_and_steps(app: App, ada: Operator, book: Book) -> None:
    with book.database.write() as connection:
        record_release(connection, "w1", release="1.4", kinds={"Mail": ("1:aa:bb", 600.0)})
        record_release(connection, "w2", release="1.5", kinds={"Mail": ("2:cc:dd", 30.0)})
    run = book.enqueue()
    for worker in ("w1", "w2", "w3"):
        (held,) = book.claim(run, worker=worker)
        with book.database.write() as connection:
            steps.begin_effect(connection, run, held.token, f"step of {worker}", attempt=held.attempt)
            steps.end_effect(connection, run, held.token, f"step of {worker}", result="null")
        book.settle(attempt_result(held, Outcome.FAILED), worker=worker)

    assert codes_of(app, ada, *find_run(app, ada, str(run))) == [
        AttemptCode("1.4", "1:aa:bb", timedelta(minutes=10), ("step of w1",)),
        AttemptCode("1.5", "2:cc:dd", timedelta(seconds=30), ("step of w2",)),
        AttemptCode(None, None, None, ("step of w3",)),
    ]


def test_a_release_is_kept_while_its_worker_lives_and_as_long_as_asked(app: App, book: Book) -> None:
    with book.database.write() as connection:
        for name in ("gone", "alive"):
            record_release(connection, name, release="1.4", kinds={}, now=book.now)
        workers.register(
            connection, "alive", host="h", pid=1, version="1", queues=[], kinds=[], threads=1, now=book.now
        )
    book.step(86_400)

    with book.database.write() as connection:
        assert forget_releases(connection, after=timedelta(days=2), now=book.now) == 0
        assert forget_releases(connection, after=timedelta(hours=1), now=book.now) == 1
        found = find_releases(connection, ["gone", "alive"])
    assert {name: one.release for name, one in found.items()} == {"alive": "1.4"}
