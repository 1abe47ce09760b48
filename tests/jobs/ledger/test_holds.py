"""Held runs: queued, passed by, published by nobody, and never seen with the moment that stands for "never"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from jobs.app import App
from jobs.enqueue.publish import entries_of
from jobs.ledger.holds import NOT_HELD, release_held
from jobs.ledger.operators.audit import AuditEntry
from jobs.ledger.operators.versions import put_back, versions
from jobs.ledger.queries import reports
from jobs.ledger.queries.waiting import overdue, unclaimed, waiting
from jobs.ledger.records import Freed
from jobs.ledger.runs import messages, purge
from jobs.ledger.runs.move import move
from jobs.operations.audit.operator import Operator
from jobs.operations.runs.explain import explain
from jobs.operations.runs.inspect import list_runs, state_word
from jobs.operations.runs.selector import SelectorInput, make_selector
from jobs.states import FAR, Outcome, RunState
from tests.book import SECOND, Book


def hold(book: Book, run_id: UUID, hold: str = "parked", **values: Any) -> UUID:
    due = book.column(run_id, "run_at")
    held_on = "limit:stripe" if hold == "parked" else "signal:approval"
    given = {"hold": hold, "held_at": book.now, "held_on": held_on, "due_at": due, "run_at": FAR, **values}
    book.change(run_id, **given)
    return run_id


def state_of(book: Book, run_id: UUID) -> dict[str, Any]:
    return {name: book.column(run_id, name) for name in NOT_HELD}


def test_a_held_run_is_neither_claimed_nor_published(book: Book) -> None:
    parked = hold(book, book.enqueue())
    timed = hold(book, book.enqueue(), "waiting", run_at=book.now + 60 * SECOND)
    book.step(30)

    assert book.claim_due() == []
    assert book.claim(parked, timed) == []
    with book.database.read() as connection:
        assert [one.run_id for one in unclaimed(connection, [parked, timed], now=book.now)] == [timed]
        every = waiting(connection, after=None, limit=10)
        assert overdue(connection, after=SECOND, limit=10, now=book.now) == []
    assert [one.run_id for one in every] == [timed]
    assert entries_of([Freed(parked, "default", 0, FAR)]) == []


def test_time_alone_makes_a_run_ready_and_its_claim_ends_the_hold(book: Book) -> None:
    timed = hold(book, book.enqueue(), "waiting", run_at=book.now + 60 * SECOND)
    book.step(61)

    (claim,) = book.claim_due()

    assert claim.run_id == timed
    assert state_of(book, timed) == NOT_HELD


def test_release_makes_it_due_when_it_was_due_and_leaves_others_alone(book: Book) -> None:
    due = book.now
    parked, plain = hold(book, book.enqueue()), book.enqueue(delay_seconds=60.0)
    book.step(5)

    with book.database.write() as connection:
        freed = release_held(connection, [parked, plain], now=book.now)

    assert freed == [Freed(parked, "default", 0, due)]
    assert state_of(book, parked) == NOT_HELD
    assert [one.run_id for one in book.claim_due()] == [parked]


def _cancel(book: Book, run_id: UUID) -> None:
    assert book.cancel(run_id) is RunState.CANCELLED


def _expire(book: Book, run_id: UUID) -> None:
    assert book.expire() == 1


def _flush(book: Book, run_id: UUID) -> None:
    with book.database.write() as connection:
        messages.cancel_waiting(connection, "default", now=book.now)


@pytest.mark.parametrize("leave", [_cancel, _expire, _flush])
def test_a_held_run_that_ends_is_no_longer_held(book: Book, leave: Callable[[Book, UUID], None]) -> None:
    due = book.now
    parked = hold(book, book.enqueue(expires_at=book.now + 60 * SECOND))
    book.step(61)

    leave(book, parked)

    assert state_of(book, parked) == NOT_HELD
    assert book.column(parked, "run_at") == due
    with book.database.write() as connection:
        assert purge.hide(connection, [parked], now=book.now) == {parked}
        purge.unhide(connection, [parked])
    assert [one.run_id for one in book.reopen(parked)] == [parked]
    assert [one.run_id for one in book.claim_due()] == [parked]


def test_a_move_to_another_time_ends_a_hold_and_a_move_to_another_queue_does_not(book: Book) -> None:
    parked, timed = hold(book, book.enqueue()), hold(book, book.enqueue())

    with book.database.write() as connection:
        move(connection, [parked], queue="other", now=book.now)
        move(connection, [timed], delay_seconds=60.0, now=book.now)

    assert book.run(parked).hold == "parked"
    assert book.run(timed).hold is None
    assert book.run(timed).run_at == book.now + 60 * SECOND


def test_undo_puts_a_held_run_back_as_a_run_that_is_due(book: Book) -> None:
    parked = hold(book, book.enqueue())
    with book.database.write() as connection:
        before = versions(connection, [parked])[parked]
    book.cancel(parked)

    with book.database.write() as connection:
        after = versions(connection, [parked])
        entry = AuditEntry(parked, before=before, after=after[parked])
        assert put_back(connection, [entry], after) == {parked: None}

    assert [one.run_id for one in book.claim_due()] == [parked]


def test_lists_counts_and_why_show_held_runs_apart(app: App, book: Book) -> None:
    ada, book.now = Operator("ada@desk"), app.clock.now()
    ready, scheduled = book.enqueue(), book.enqueue(delay_seconds=60.0)
    parked = hold(book, book.enqueue())
    waits = hold(book, book.enqueue(), "waiting", run_at=book.now + 60 * SECOND)
    held = book.start()
    book.end(held, Outcome.SNOOZED)
    hold(book, held.run_id)

    by_word = {
        word: {one.id for one in list_runs(app, ada, make_selector(app, SelectorInput(states=(word,)))).runs}
        for word in ("ready", "scheduled", "retrying", "parked", "waiting", "queued")
    }

    assert by_word == {
        "ready": {ready}, "scheduled": {scheduled}, "retrying": set(), "parked": {parked, held.run_id},
        "waiting": {waits}, "queued": {ready, scheduled, parked, waits, held.run_id},
    }  # fmt: skip
    with book.database.read() as connection:
        (count,) = reports.queue_counts(connection, now=book.now)
    assert (count.ready, count.scheduled, count.retrying, count.parked, count.waiting) == (1, 1, 0, 2, 1)
    assert {state_word(book.run(one), now=book.now) for one in (parked, waits)} == {"parked", "waiting"}
    why = explain(app, ada, str(parked)).sentence
    assert why == "It is parked on the limit stripe, which nobody declares now."
    book.change(parked, held_on="breaker:stripe")
    why = explain(app, ada, str(parked)).sentence
    assert why == "It is parked: the breaker stripe has closed, and upkeep makes the run ready."
    assert explain(app, ada, str(waits)).code == "waiting"


def test_no_held_run_is_seen_with_the_moment_that_stands_for_never(book: Book) -> None:
    due = book.now
    parked = hold(book, book.enqueue())
    timed = hold(book, book.enqueue(), "waiting", run_at=book.now + timedelta(hours=1))

    assert (book.run(parked).run_at, book.run(parked).held_until) == (due, None)
    assert book.run(timed).held_until == book.now + timedelta(hours=1)
    assert max(book.run(one).run_at for one in (parked, timed)) < FAR
