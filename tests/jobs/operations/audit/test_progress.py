"""Actions that go on in the background: on record from the start, stoppable from anywhere, lost with their process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.app import App
from jobs.errors import Conflict, Forbidden, NotFound
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit import progress
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk import batches
from jobs.operations.bulk.action import BegunAction, begin, go_on, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.states import RunState
from tests.book import Book

VERBS = ("replay",)


def begun(app: App, ada: Operator, **how: Any) -> BegunAction:
    act = ReplayAction(app=app, operator=ada)
    return begin(app, ada, act, plan(app, ada, act, Selector(is_all=True)), **how)


def test_an_action_is_on_record_before_anything_is_done(app: App, ada: Operator, book: Book) -> None:
    book.bring(RunState.DEAD)

    action = begun(app, ada, reason="later")

    found, state = progress.find_progress(app, ada, VERBS, action.report.action_id)
    assert (found["expected"], found["done"], found["reason"], state) == (1, 0, "later", "running")
    assert go_on(app, action).done == 1
    assert progress.find_progress(app, ada, VERBS, action.report.action_id)[1] == "finished"


def test_an_action_that_is_stopped_elsewhere_goes_no_further_and_can_be_resumed(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 1)
    for _ in range(3):
        book.bring(RunState.DEAD)
    action = begun(app, ada)
    action_id = action.report.action_id

    report = go_on(app, action, progress=lambda report: progress.stop(app, ada, VERBS, action_id))

    assert (report.done, report.is_interrupted) == (1, True)
    assert progress.find_progress(app, ada, VERBS, action_id)[1] == "interrupted"
    with pytest.raises(Conflict, match="is over"):
        progress.stop(app, ada, VERBS, action_id)
    assert go_on(app, begun(app, ada, resume=action_id)).done == 2
    found, state = progress.find_progress(app, ada, VERBS, action_id)
    assert (found["done"], state) == (3, "finished")


def test_an_action_whose_process_is_gone_is_marked(app: App, ada: Operator, book: Book) -> None:
    book.bring(RunState.DEAD)
    action, _ = progress.find_progress(app, ada, VERBS, begun(app, ada).report.action_id)

    soon, later = action["seen_at"] + timedelta(seconds=59), action["seen_at"] + timedelta(seconds=61)

    assert progress.state_of(action, soon) == "running"
    assert progress.state_of(action, later) == "lost"
    assert progress.state_of({**action, "state": "finished"}, later) == "finished"


def test_actions_are_listed_by_verb_and_need_the_permission(app: App, ada: Operator, book: Book) -> None:
    book.bring(RunState.DEAD)
    action_id = begun(app, ada).report.action_id
    viewer = Operator("viewer", frozenset({Permission.RUNS_READ}))

    assert [one["id"] for one, _ in progress.list_progress(app, ada, VERBS)] == [action_id]
    assert progress.list_progress(app, ada, ("cancel",)) == []
    with pytest.raises(NotFound):
        progress.find_progress(app, ada, ("cancel",), action_id)
    with pytest.raises(Forbidden):
        progress.list_progress(app, viewer, VERBS)
    with pytest.raises(Forbidden):
        progress.stop(app, viewer, VERBS, action_id)
