"""What the result of an attempt enqueues goes in with the end of its run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.ledger.queries.find import list_runs
from jobs.states import Outcome, RunState
from tests.book import Book, attempt_result, new_run


def enqueued(book: Book) -> list[str]:
    with book.database.read() as connection:
        return [run.kind for run in list_runs(connection, limit=10) if run.kind != "Mail"]


@pytest.mark.parametrize(
    ("outcome", "is_cancelled", "state", "follows"),
    [
        (Outcome.SUCCEEDED, False, RunState.SUCCEEDED, ["Next"]),
        # An operator cancelled the run while it performed: nothing follows its success.
        (Outcome.SUCCEEDED, True, RunState.CANCELLED, []),
        # The job cancelled itself: the runs that its hooks enqueued count.
        (Outcome.CANCELLED, False, RunState.CANCELLED, ["Next"]),
    ],
)
def test_the_next_message_is_enqueued_unless_an_operator_cancelled_the_run(
    book: Book, outcome: Outcome, is_cancelled: bool, state: RunState, follows: list[str]
) -> None:
    held = book.start()
    if is_cancelled:
        book.cancel(held.run_id)

    book.settle(replace(attempt_result(held, outcome), then=(new_run(kind="Next"),)))

    assert book.run(held.run_id).state is state
    assert enqueued(book) == follows
