"""Cancel and purge: what they end, hide, bring back and erase."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.app import App
from jobs.errors import NotFound
from jobs.ledger.operators import idempotency
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.runs import prune
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction, RestoreAction
from jobs.operations.bulk.undo import undo
from jobs.operations.runs import inspect
from jobs.states import RunState
from tests.book import Book
from tests.jobs.operations.bulk.acting import EVERYTHING, act_on, action_of, dead_runs, replay


def test_cancel_ends_waiting_runs_and_flags_running_ones_without_touching_the_lease(
    app: App, ada: Operator, book: Book
) -> None:
    waits, held = book.enqueue(), book.start()
    token, until = book.column(held.run_id, "token"), book.column(held.run_id, "lease_until")

    report = act_on(app, ada, CancelAction(reason="twice"), EVERYTHING, reason="twice")

    assert report.done == 2
    assert book.run(waits).state is RunState.CANCELLED
    assert book.run(held.run_id).state is RunState.RUNNING
    assert book.run(held.run_id).cancel_requested_at is not None
    assert (book.column(held.run_id, "token"), book.column(held.run_id, "lease_until")) == (token, until)


def test_purge_hides_restore_brings_back_and_erase_blanks(app: App, ada: Operator, book: Book) -> None:
    dead, held = dead_runs(book, 1)[0], book.start(arguments={"name": "Eve"})
    done, _ = book.bring(RunState.SUCCEEDED, arguments={"name": "Eve"})

    act_on(app, ada, PurgeAction(), Selector(ids=(dead, held.run_id)))

    listed = {run.id for run in inspect.list_runs(app, ada, Selector()).runs}
    assert listed == {held.run_id, done}
    act_on(app, ada, RestoreAction(), Selector(ids=(dead,)))
    assert dead in {run.id for run in inspect.list_runs(app, ada, Selector()).runs}
    act_on(app, ada, PurgeAction(erase=True), Selector(ids=(done,)))
    assert "Eve" not in str(book.run(done))
    assert book.run(held.run_id).arguments == {"name": "Eve"}


def test_references_to_a_pruned_run_stay_readable(app: App, ada: Operator, book: Book) -> None:
    parent, _ = book.bring(RunState.DEAD)
    child = book.enqueue(parent_id=parent, root_id=parent)
    act_on(app, ada, CancelAction(), Selector(ids=(child,)))
    purged = act_on(app, ada, PurgeAction(), Selector(ids=(parent,)))
    with app.database.write() as connection:
        assert prune.prune_purged(connection, after=timedelta(seconds=-60)) == 1

    assert inspect.find_run(app, ada, str(child))[0].parent_id == parent
    assert inspect.related(app, ada, child) == []
    with pytest.raises(NotFound):
        inspect.find_run(app, ada, str(parent))
    again = act_on(app, ada, replay(app, ada), Selector(ids=(child, parent), states=("cancelled",)))
    assert again.done == 1
    undone = undo(app, ada, action_of(app, purged))
    assert (undone.done, undone.skipped) == (0, 1)
    assert book.run(child).state is RunState.QUEUED


def test_erasing_blanks_stored_responses(app: App, ada: Operator, book: Book) -> None:
    run_id, _ = book.bring(RunState.SUCCEEDED)
    request = idempotency.RequestKey("ada@desk", "k1", "")
    now = app.clock.now()
    with app.database.write() as connection:
        assert idempotency.claim(connection, request, "f", now=now, kept=timedelta(days=1)) is None
        idempotency.answer(connection, request, status=200, text='{"arguments": {"card": "4111"}}')

    act_on(app, ada, PurgeAction(erase=True), Selector(ids=(run_id,)), reason="asked to")

    with app.database.write() as connection:
        kept = idempotency.claim(connection, request, "f", now=now, kept=timedelta(days=1))
    assert kept is not None
    assert kept.answer is None
