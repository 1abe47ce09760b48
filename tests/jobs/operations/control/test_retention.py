"""Retention of queues under operators: in force at once, state by state, on record, and can be undone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs.app import App
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused
from jobs.ledger.operators.queue_retention import retained_queues
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.retention import clear_retention, over_their_time, retain_queue
from jobs.operations.insight.queues import list_queues, look_at
from jobs.states import RunState
from tests.book import Book

A_DAY = timedelta(days=1)
SUCCEEDED, CANCELLED, DEAD = RunState.SUCCEEDED, RunState.CANCELLED, RunState.DEAD
BY_SETTINGS = {"succeeded": (7 * 86400.0, False), "cancelled": (30 * 86400.0, False), "dead": (None, False)}


def retention(app: App, ada: Operator) -> dict[str, tuple[float | None, bool]]:
    seen, listed = look_at(app, ada, "default"), list_queues(app, ada)[0]
    assert seen.retention == listed.retention
    return {one.state: (one.seconds, one.is_set) for one in seen.retention}


def test_retention_is_set_by_state_cleared_recorded_and_undone(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    assert retention(app, ada) == BY_SETTINGS

    assert retain_queue(app, ada, "default", {SUCCEEDED: "never", DEAD: 90 * A_DAY}, reason="law") == {
        SUCCEEDED: None,
        DEAD: 90 * A_DAY,
    }
    of_both = {**BY_SETTINGS, "succeeded": (None, True), "dead": (90 * 86400.0, True)}
    assert retention(app, ada) == of_both
    retain_queue(app, ada, "default", {SUCCEEDED: "clear", CANCELLED: A_DAY})
    later, first = list_actions(app, ada)[:2]
    assert (first["verb"], first["target"], first["reason"]) == ("retain", "retention:default", "law")
    assert (later["before"], later["after"]) == (
        {"succeeded": None, "dead": 7776000.0},
        {"cancelled": 86400.0, "dead": 7776000.0},
    )

    with pytest.raises(Conflict, match="changed since"):
        undo(app, ada, plan_undo(app, ada, str(first["id"])))
    undo(app, ada, plan_undo(app, ada, str(later["id"])))
    assert retention(app, ada) == of_both
    assert clear_retention(app, ada, "default") == {SUCCEEDED: None, DEAD: 90 * A_DAY}
    assert retention(app, ada) == BY_SETTINGS
    undo(app, ada, plan_undo(app, ada, str(list_actions(app, ada, limit=1)[0]["id"])))
    undo(app, ada, plan_undo(app, ada, str(first["id"])))
    assert retention(app, ada) == BY_SETTINGS


def test_invalid_retention_is_refused_and_not_recorded(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    for time in (timedelta(0), -A_DAY, 36501 * A_DAY):
        with pytest.raises(SelectorRefused, match="above zero, and at most a hundred years"):
            retain_queue(app, ada, "default", {DEAD: time})
    with pytest.raises(SelectorRefused, match="at least one"):
        retain_queue(app, ada, "default", {})
    with pytest.raises(NotFound, match="Did you mean 'default'"):
        retain_queue(app, ada, "defualt", {DEAD: A_DAY})
    with pytest.raises(Conflict, match="No such retention"):
        retain_queue(app, ada, "default", {DEAD: "clear"})
    with pytest.raises(Conflict, match="No retention is set"):
        clear_retention(app, ada, "default")
    with pytest.raises(Forbidden):
        retain_queue(app, Operator("eve", ROLES["viewer"]), "default", {DEAD: A_DAY})

    assert list_actions(app, ada) == []
    retain_queue(app, ada, "later", {DEAD: A_DAY}, is_new=True)
    assert clear_retention(app, ada, "later") == {DEAD: A_DAY}


def test_what_another_program_wrote_and_is_no_time_counts_as_not_set(app: App, ada: Operator) -> None:
    wrong = '{"succeeded": -5, "cancelled": "never", "running": 60, "dead": 3600}'
    with app.database.write() as connection:
        insert = text("insert into job_queues (name, retain) values (:name, :retain)")
        for name, kept in (("default", wrong), ("listed", "[1]")):
            connection.execute(insert, {"name": name, "retain": kept})

        assert retained_queues(connection) == {"default": {DEAD: timedelta(hours=1)}}


def test_runs_that_are_over_a_new_time_are_counted_before_it_is_set(app: App, ada: Operator, book: Book) -> None:
    for state in (DEAD, DEAD, SUCCEEDED):
        book.bring(state)
    book.bring(DEAD, queue="other")
    now = timedelta(microseconds=1)

    assert over_their_time(app, ada, "default", {DEAD: now, SUCCEEDED: "never"}).number == 2
    assert over_their_time(app, ada, "default", {DEAD: A_DAY}).number == 0
