"""Undo restores what replay, cancel, purge and pause changed, where nothing moved since."""

from __future__ import annotations

import pytest

from jobs.app import App
from jobs.errors import Conflict, JobsError
from jobs.ledger.operators import audit_queries
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.batches import Act
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction, RestoreAction
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.pause import pause, resume
from jobs.states import Outcome
from tests.book import Book
from tests.jobs.operations.bulk.acting import EVERYTHING, act_on, dead_runs, replay


@pytest.mark.parametrize("verb", ["replay", "cancel", "purge"])
def test_undo_restores_runs_that_have_not_moved_and_lists_the_others(
    app: App, ada: Operator, book: Book, verb: str
) -> None:
    runs = [book.enqueue(delay_seconds=60.0) for _ in range(3)] if verb == "cancel" else dead_runs(book, 3)
    before = [book.run(one) for one in runs]
    acts: dict[str, Act] = {"replay": replay(app, ada), "cancel": CancelAction(), "purge": PurgeAction()}
    report = act_on(app, ada, acts[verb], Selector(ids=tuple(runs)))
    book.step(3600)
    # One of them moves on, and comes back to the state in which the action left it.
    if verb == "replay":
        (held,) = book.claim(runs[0])
        book.end(held, Outcome.SNOOZED)
    elif verb == "cancel":
        book.reopen(runs[0])
        book.cancel(runs[0])
    else:
        act_on(app, ada, RestoreAction(), Selector(ids=(runs[0],)))
        act_on(app, ada, PurgeAction(), Selector(ids=(runs[0],)))
    moved = book.run(runs[0])

    taken_back = undo(app, ada, plan_undo(app, ada, str(report.action_id)))

    assert (taken_back.done, taken_back.skipped) == (2, 1)
    assert taken_back.some_skipped == [(runs[0], "it has moved since")]
    assert book.run(runs[0]) == moved
    assert [book.run(one) for one in runs[1:]] == before[1:]
    with pytest.raises(Conflict, match="has been undone"):
        plan_undo(app, ada, str(report.action_id))


def test_undo_of_a_cancel_lets_a_running_job_go_on(app: App, ada: Operator, book: Book) -> None:
    held = book.start()
    report = act_on(app, ada, CancelAction(), EVERYTHING)

    undo(app, ada, plan_undo(app, ada, str(report.action_id)))

    assert book.run(held.run_id).cancel_requested_at is None
    assert book.end(held, Outcome.SUCCEEDED) is not None


def test_a_pause_is_recorded_takes_effect_and_is_undone(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    book.enqueue(kind="Other")

    pause(app, ada, "kind", "Mail", reason="why not")
    assert book.claim_due(kinds=("Mail",)) == []
    with app.database.read() as connection:
        action = audit_queries.list_actions(connection)[0]
    undo(app, ada, plan_undo(app, ada, str(action["id"])))
    assert len(book.claim_due(kinds=("Mail",))) == 1
    pause(app, ada, "queue", "default")
    assert book.claim_due(kinds=("Mail", "Other")) == []
    resume(app, ada, "queue", "default")
    assert len(book.claim_due(kinds=("Mail", "Other"))) == 1
    with pytest.raises(JobsError, match="Did you mean 'default'"):
        pause(app, ada, "queue", "defualt")
