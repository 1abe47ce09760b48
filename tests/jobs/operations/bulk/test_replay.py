"""Replay reopens a dead run, or makes a new run of one that succeeded or whose arguments change."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.app import App
from jobs.errors import SelectorRefused
from jobs.ledger.operators import audit_queries
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.argument_changes import check_changes
from jobs.states import RunState
from tests.book import Book
from tests.jobs.operations.bulk.acting import EVERYTHING, act_on, action_of, dead_runs, replay


def test_replay_reopens_the_dead_with_a_fresh_budget_and_leaves_one_row(app: App, ada: Operator, book: Book) -> None:
    dead, (cancelled, _), (done, _) = dead_runs(book, 3), book.bring(RunState.CANCELLED), book.bring(RunState.SUCCEEDED)

    report = act_on(app, ada, replay(app, ada), EVERYTHING, reason="fixed")

    assert (report.done, report.skipped) == (3, 0)
    assert {book.run(one).state for one in dead} == {RunState.QUEUED}
    assert {book.run(one).charged for one in dead} == {0}
    assert book.run(cancelled).state is RunState.CANCELLED
    assert book.run(done).state is RunState.SUCCEEDED
    action = action_of(app, report)
    assert (action["actor"], action["verb"], action["reason"], action["done"]) == ("ada@desk", "replay", "fixed", 3)
    assert action["state"] == "finished"
    with app.database.read() as connection:
        notes = audit_queries.entries_of(connection, report.action_id)
        assert len(audit_queries.list_actions(connection)) == 1
    assert {one.run_id for one in notes} == set(dead)
    assert {(one.before or {})["state"] for one in notes} == {"dead"}
    assert {(one.after or {})["state"] for one in notes} == {"queued"}


def test_with_changes_a_new_run_names_the_old_which_stays(app: App, ada: Operator, book: Book, mail_job: Any) -> None:
    old, _ = book.bring(RunState.DEAD, arguments={"order_id": 7, "card": "declined"})
    bad, _ = book.bring(RunState.DEAD, arguments={"order_id": "x", "card": "declined"})

    report = act_on(app, ada, replay(app, ada, changes={"card": "ok"}), Selector(ids=(old, bad)))

    assert (report.done, report.skipped) == (1, 1)
    ((named, new),) = report.new_runs
    assert named == old
    assert book.run(old).state is RunState.DEAD
    assert book.run(new).arguments == {"order_id": 7, "card": "ok"}
    assert book.run(new).replayed_from == old
    assert book.run(new).enqueued_by == "ada@desk"
    assert report.some_skipped[0][0] == bad
    with pytest.raises(SelectorRefused, match="no argument 'cart'"):
        check_changes({"cart": 1}, ["Mail"])


def test_a_run_that_succeeded_is_replayed_as_a_new_one_with_the_same_arguments(
    app: App, ada: Operator, book: Book
) -> None:
    done, _ = book.bring(RunState.SUCCEEDED, arguments={"n": 1.0})

    report = act_on(
        app, ada, replay(app, ada, queue="other", priority=-5, delay_seconds=60), Selector(states=("succeeded",))
    )

    new = book.run(report.new_runs[0][1])
    assert (new.queue, new.priority, new.arguments, new.replayed_from) == ("other", -5, {"n": 1.0}, done)
    assert book.run(done).state is RunState.SUCCEEDED
