"""Targets of queues and kinds under operators: in force at once, on record, and can be undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.app import App
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused
from jobs.ledger.targets.set_targets import TargetRecord, write_target
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.entry import record_finished
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.pause import pause
from jobs.operations.control.targets import clear_target, set_target
from jobs.operations.insight import targets
from jobs.operations.insight.alerts import alerts
from jobs.operations.insight.queues import list_queues, look_at
from jobs.operations.insight.targets import find_target, list_targets
from jobs.states import RunState
from jobs.targets.burn import Count
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

    assert set_target(app, ada, "default", latency=HALF_A_MINUTE, reason="promised") == TargetRecord(30)
    assert target(app, ada) == (30, True)
    assert clear_target(app, ada, "default") == TargetRecord(30)
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
    assert clear_target(app, ada, "later") == TargetRecord(30)


def test_parts_of_a_target_are_set_apart_and_undone_in_turn(app: App, ada: Operator, book: Book) -> None:
    book.enqueue()
    set_target(app, ada, "Mail", what="kind", success=0.995)
    assert set_target(app, ada, "Mail", what="kind", latency=HALF_A_MINUTE) == TargetRecord(30, 0.995)
    later, first = list_actions(app, ada)[:2]
    assert (later["target"], later["before"]) == ("kind_target:Mail", {"latency_seconds": None, "success": 0.995})
    assert find_target(app, ada, "queue", "Mail").success is None

    with pytest.raises(Conflict, match="kind Mail has been changed since"):
        undo(app, ada, plan_undo(app, ada, str(first["id"])))
    undo(app, ada, plan_undo(app, ada, str(later["id"])))
    assert find_target(app, ada, "kind", "Mail").latency_seconds is None
    (one,) = list_targets(app, ada)
    assert (one.what, one.name, one.success, one.is_set, one.is_burning) == ("kind", "Mail", 0.995, True, False)
    for success in (1.0, 0.4, float("nan")):
        with pytest.raises(SelectorRefused, match=r"from 50% to 99\.999%"):
            set_target(app, ada, "Mail", what="kind", success=success)


def test_one_target_is_found_as_the_list_has_it_without_the_budgets_of_others(
    app: App, ada: Operator, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.bring(RunState.DEAD)
    for what, name in (("queue", "default"), ("kind", "Mail"), ("kind", "Other")):
        set_target(app, ada, name, what=what, success=0.9, is_new=True)
    every = {(one.what, one.name): one for one in list_targets(app, ada)}
    asked: list[str] = []
    read = targets.read_budgets

    def read_budgets(session: Any, settings: Any, **given: Any) -> Any:
        asked.extend(name for _, name in given["targets"])
        return read(session, settings, **given)

    monkeypatch.setattr(targets, "read_budgets", read_budgets)

    found = find_target(app, ada, "kind", "Mail")
    alerts(app, ada, targets=list(every.values()))

    assert asked == ["Mail"], "nor do alerts that are given the targets"
    assert (found.success, found.is_set) == (0.9, True)
    assert [one.budget and one.budget.burn("1h").count for one in (found, every["kind", "Mail"])] == [Count(0, 1)] * 2


def test_an_action_that_an_earlier_release_recorded_is_undone_without_the_new_part(app: App, ada: Operator) -> None:
    set_target(app, ada, "default", latency=HALF_A_MINUTE, is_new=True)
    with app.database.write() as connection:
        record_finished(
            connection, "target", ada, target="target:default", reason=None, after={"latency_seconds": 30}
        )  # fmt: skip
        write_target(connection, "queue", "default", TargetRecord(30, 0.9))

    undo(app, ada, plan_undo(app, ada, str(list_actions(app, ada)[0]["id"])))

    assert find_target(app, ada, "queue", "default").latency_seconds is None
    assert find_target(app, ada, "queue", "default").success == 0.9
