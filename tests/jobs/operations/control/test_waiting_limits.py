"""Limits of waiting runs under operators: in force at once, on record, and can be undone."""

from __future__ import annotations

import pytest

from jobs.app import App
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.waiting_limits import clear_waiting_limit, limit_waiting
from jobs.operations.insight.queues import list_queues, look_at
from tests.book import Book


def most(app: App, ada: Operator) -> int | None:
    seen, listed = look_at(app, ada, "default"), list_queues(app, ada)[0]
    assert seen.max_waiting == listed.max_waiting
    return seen.max_waiting


def test_a_limit_is_set_cleared_recorded_and_undone(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    assert limit_waiting(app, ada, "default", most=5, reason="slow") == 5
    assert most(app, ada) == 5
    assert clear_waiting_limit(app, ada, "default") == 5
    assert most(app, ada) is None
    cleared, was_set = list_actions(app, ada)[:2]
    assert (was_set["verb"], was_set["target"], was_set["reason"]) == ("limit_waiting", "waiting:default", "slow")

    undo(app, ada, plan_undo(app, ada, str(cleared["id"])))
    assert most(app, ada) == 5
    limit_waiting(app, ada, "default", most=6)
    with pytest.raises(Conflict, match="changed since"):
        undo(app, ada, plan_undo(app, ada, str(was_set["id"])))


def test_what_is_no_limit_is_refused_and_nothing_is_recorded(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    with pytest.raises(SelectorRefused, match="from 1 to"):
        limit_waiting(app, ada, "default", most=0)
    with pytest.raises(NotFound, match="Did you mean 'default'"):
        limit_waiting(app, ada, "defualt", most=5)
    with pytest.raises(Conflict, match="has no limit"):
        clear_waiting_limit(app, ada, "default")
    with pytest.raises(Forbidden):
        limit_waiting(app, Operator("eve", ROLES["viewer"]), "default", most=5)

    assert list_actions(app, ada) == []
