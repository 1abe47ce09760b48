"""Runs of a kind that no worker knows are dead letters after their wait, and not before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.app import App
from jobs.ledger import workers
from jobs.states import Cause, RunState
from jobs.upkeep.unknown_kinds import dead_letter_unknown
from tests.book import Book
from tests.conftest import MakeApp

WAIT = timedelta(hours=1)


@pytest.fixture
def waiting(ledger_url: str, make_app: MakeApp) -> App:
    """A ledger with a live worker that knows the kind Mail, and a wait of an hour."""
    app = make_app(ledger_url, unknown_kind_wait="1h")
    with app.database.write() as connection:
        workers.register(connection, "w/1/0", host="w", pid=1, version="0", queues=["q"], kinds=["Mail"], threads=1)
    return app


def test_a_run_of_an_unknown_kind_is_dead_after_its_wait_and_not_before(waiting: App) -> None:  # K2.C
    book = Book(waiting.database, now=datetime.now(UTC))
    due_since = {
        "now": timedelta(0), "nearly": WAIT - timedelta(minutes=1), "for longer": WAIT + timedelta(minutes=1)
    }  # fmt: skip
    runs = {name: book.enqueue(kind="Gone") for name in due_since}
    for name, span in due_since.items():
        book.change(runs[name], run_at=book.now - span)

    assert dead_letter_unknown(waiting) == (1, [])

    found = {name: (book.run(one).state, book.run(one).cause) for name, one in runs.items()}
    assert found == {
        "now": (RunState.QUEUED, None),
        "nearly": (RunState.QUEUED, None),
        "for longer": (RunState.DEAD, Cause.UNKNOWN_KIND),
    }


def test_a_kind_is_known_while_a_worker_that_had_it_was_seen_within_the_wait(waiting: App) -> None:  # K2.C
    book = Book(waiting.database, now=datetime.now(UTC))
    with waiting.database.write() as connection:
        workers.register(connection, "w/2/0", host="w", pid=2, version="0", queues=["q"], kinds=["Gone"], threads=1)
        workers.sign_off(connection, "w/2/0", now=book.now - WAIT / 2)
    run = book.enqueue(kind="Gone")
    book.change(run, run_at=book.now - 2 * WAIT)

    assert dead_letter_unknown(waiting) == (0, [])
    assert book.run(run).state is RunState.QUEUED
