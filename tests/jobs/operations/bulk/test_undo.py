"""Undo in batches: stopped between two of them, taken up again, and a few statements a batch."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from jobs.app import App
from jobs.errors import Conflict
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk import undo as undoing
from jobs.operations.bulk.action import Report, carry_out, plan
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.states import RunState
from tests.book import Book
from tests.jobs.operations.bulk.acting import EVERYTHING, act_on, action_of, dead_runs, replay


def take_back(app: App, ada: Operator, report: Report, **how: Any) -> Report:
    return undo(app, ada, plan_undo(app, ada, str(report.action_id)), **how)


def states(book: Book, runs: list[UUID]) -> set[RunState]:
    return {book.run(one).state for one in runs}


def test_an_undo_that_was_stopped_goes_on_when_asked_again(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = dead_runs(book, 5)
    replayed = act_on(app, ada, replay(app, ada), EVERYTHING)
    monkeypatch.setattr(undoing, "BATCH", 2)
    seen: list[int] = []

    stopped = take_back(
        app, ada, replayed, is_stopped=lambda: bool(seen), progress=lambda report: seen.append(report.done)
    )
    rest = take_back(app, ada, replayed)

    assert stopped.is_interrupted
    assert (stopped.done, rest.done, rest.action_id) == (2, 3, stopped.action_id)
    assert states(book, dead) == {RunState.DEAD}
    assert (action_of(app, rest)["state"], action_of(app, rest)["done"]) == ("finished", 5)
    with pytest.raises(Conflict, match="has been undone"):
        plan_undo(app, ada, str(replayed.action_id))


def test_an_undo_that_died_goes_on_when_asked_again(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = dead_runs(book, 4)
    replayed = act_on(app, ada, replay(app, ada), EVERYTHING)
    monkeypatch.setattr(undoing, "BATCH", 2)

    def die(report: Report) -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        take_back(app, ada, replayed, progress=die)
    take_back(app, ada, replayed)

    assert states(book, dead) == {RunState.DEAD}


def test_undo_leaves_a_run_whose_key_another_run_holds(app: App, ada: Operator, book: Book) -> None:
    waiting = [book.enqueue() for _ in range(3)]
    book.change(waiting[1], key="order:7")
    cancelled = act_on(app, ada, CancelAction(), Selector(ids=tuple(waiting)))
    book.change(book.enqueue(), key="order:7")

    report = take_back(app, ada, cancelled)

    assert (report.done, report.some_skipped) == (2, [(waiting[1], "its key is held by another run now")])
    assert [book.run(one).state.value for one in waiting] == ["queued", "cancelled", "queued"]


def test_undo_of_a_replay_cancels_new_runs_that_have_not_started(app: App, ada: Operator, book: Book) -> None:
    done = [book.bring(RunState.SUCCEEDED)[0] for _ in range(3)]
    act = replay(app, ada)
    replayed = carry_out(app, ada, act, plan(app, ada, act, Selector(ids=tuple(done), states=("succeeded",))))
    new = [new_id for _, new_id in replayed.new_runs]
    book.step(3600)
    book.claim(new[0])

    report = take_back(app, ada, replayed)

    assert (report.done, report.skipped) == (2, 1)
    assert report.some_skipped[0][1] == f"its new run {str(new[0])[-8:]} is running"
    assert [book.run(one).state.value for one in new] == ["running", "cancelled", "cancelled"]


@pytest.mark.parametrize("verb", ["replay", "cancel", "undo"])
def test_statements_are_counted_by_batch_and_not_by_run(app: App, ada: Operator, book: Book, verb: str) -> None:
    runs = dead_runs(book, 40) if verb != "cancel" else [book.enqueue() for _ in range(40)]
    act = CancelAction() if verb == "cancel" else ReplayAction(app=app, operator=ada)
    planned = plan(app, ada, act, Selector(ids=tuple(runs)))
    first = carry_out(app, ada, act, planned) if verb == "undo" else None
    statements: list[str] = []

    def hear(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(app.database.engine, "before_cursor_execute", hear)
    try:
        report = take_back(app, ada, first) if first is not None else carry_out(app, ada, act, planned)
    finally:
        event.remove(app.database.engine, "before_cursor_execute", hear)

    assert report.done == 40
    assert len(statements) < 34  # With the links of the audit.
    entries = [one for one in statements if "INSERT INTO operator_action_runs" in one]
    assert entries
    is_linked = app.database.dialect == "postgresql"
    assert all(("INSERT INTO operator_audit_links" in one) is is_linked for one in entries), (
        "the link costs no statement"
    )


def test_one_of_two_operators_undoes_an_action(app: App, ada: Operator, book: Book) -> None:
    dead_runs(book, 1)
    action = action_of(app, act_on(app, ada, replay(app, ada), EVERYTHING))

    undoing.begin_undo(app, ada, action)
    with pytest.raises(Conflict, match="has been undone"):
        undoing.begin_undo(app, ada, action)


def test_a_finished_undo_is_not_continued(app: App, ada: Operator, book: Book) -> None:
    dead_runs(book, 1)
    report = act_on(app, ada, replay(app, ada), EVERYTHING)
    take_back(app, ada, report)

    with pytest.raises(Conflict, match="has been undone"):
        undoing.begin_undo(app, ada, action_of(app, report))
