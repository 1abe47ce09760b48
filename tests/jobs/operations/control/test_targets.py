"""Targets of queues under operators: in force at once, on record, and can be undone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.app import App
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.pause import pause
from jobs.operations.control.targets import clear_target, set_target
from jobs.operations.insight.queues import list_queues, look_at
from tests.book import Book

HALF_A_MINUTE = timedelta(seconds=30)


def target(app: App, ada: Operator) -> tuple[float, bool]:
    seen, listed = look_at(app, ada, "default"), list_queues(app, ada)[0]
    assert (seen.target_seconds, seen.is_target_set) == (listed.target_seconds, listed.is_target_set)
    return seen.target_seconds, seen.is_target_set


def test_a_target_is_set_cleared_recorded_and_undone(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    pause(app, ada, "queue", "default")
    assert target(app, ada) == (300, False)

    assert set_target(app, ada, "default", latency=HALF_A_MINUTE, reason="promised") == 30
    assert target(app, ada) == (30, True)
    assert clear_target(app, ada, "default") == 30
    assert target(app, ada) == (300, False)
    cleared, was_set = list_actions(app, ada)[:2]
    assert (was_set["verb"], was_set["target"], was_set["reason"]) == ("target", "target:default", "promised")

    undo(app, ada, plan_undo(app, ada, str(cleared["id"])))
    assert target(app, ada) == (30, True)
    assert look_at(app, ada, "default").pause is not None
    undo(app, ada, plan_undo(app, ada, str(was_set["id"])))
    assert target(app, ada) == (300, False)


def test_an_action_is_not_undone_after_a_later_change(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    set_target(app, ada, "default", latency=HALF_A_MINUTE)
    first = list_actions(app, ada)[0]
    set_target(app, ada, "default", latency=timedelta(hours=1))

    with pytest.raises(Conflict, match="changed since"):
        undo(app, ada, plan_undo(app, ada, str(first["id"])))

    assert target(app, ada) == (3600, True)


def test_an_invalid_target_is_refused_and_not_recorded(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    for latency in (timedelta(0), timedelta(seconds=0.5), timedelta(seconds=1.5), timedelta(days=367)):
        with pytest.raises(SelectorRefused, match="whole number of seconds"):
            set_target(app, ada, "default", latency=latency)
    with pytest.raises(NotFound, match="Did you mean 'default'"):
        set_target(app, ada, "defualt", latency=HALF_A_MINUTE)
    with pytest.raises(Conflict, match="No target is set"):
        clear_target(app, ada, "default")
    with pytest.raises(Forbidden):
        set_target(app, Operator("eve", ROLES["viewer"]), "default", latency=HALF_A_MINUTE)

    assert list_actions(app, ada) == []
    assert target(app, ada) == (300, False)


def test_a_queue_without_runs_gets_a_target_on_request(app: App, ada: Operator) -> None:
    set_target(app, ada, "later", latency=HALF_A_MINUTE, is_new=True)

    with pytest.raises(Conflict, match="No target"):
        clear_target(app, ada, "latest")
    assert clear_target(app, ada, "later") == 30
