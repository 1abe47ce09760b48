"""Bulk actions: who may plan one, what it selects, and how many runs it may change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.app import App
from jobs.errors import Conflict, Forbidden, SelectorRefused
from jobs.ledger.operators import audit_queries
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk.action import begin, carry_out, plan
from jobs.operations.bulk.cancel import CancelAction
from jobs.operations.bulk.purge import PurgeAction, RestoreAction
from jobs.operations.runs import inspect
from jobs.states import RunState
from tests.book import Book
from tests.jobs.operations.bulk.acting import EVERYTHING, act_on, dead_runs, replay


def test_an_empty_selection_selects_nothing(app: App, ada: Operator, book: Book) -> None:
    dead_runs(book, 1)

    with pytest.raises(SelectorRefused, match="--all"):
        plan(app, ada, replay(app, ada), Selector())


def test_a_count_that_is_not_the_expected_one_changes_nothing(app: App, ada: Operator, book: Book) -> None:
    dead = dead_runs(book, 2)

    with pytest.raises(Conflict, match="2 runs match, and 3 were expected"):
        act_on(app, ada, replay(app, ada), EVERYTHING, expect=3)

    assert {book.run(one).state for one in dead} == {RunState.DEAD}


def test_an_operator_without_the_permission_is_refused(app: App, book: Book) -> None:
    reader = Operator("eve", frozenset({Permission.RUNS_READ}))
    dead_runs(book, 1)

    for act in (replay(app, reader), CancelAction(), PurgeAction(), RestoreAction()):
        with pytest.raises(Forbidden, match="eve"):
            plan(app, reader, act, EVERYTHING)
    shown = inspect.list_runs(app, reader, Selector()).runs[0]
    assert shown.arguments == inspect.HIDDEN


@pytest.mark.parametrize(
    "selector",
    [
        Selector(arguments=(("to", "a@b.c"),)),
        Selector(errors=("*secret*",)),
        Selector(keys=("a@b.c",)),
        Selector(tags=("customer:7",)),
    ],
    ids=["arguments", "errors", "keys", "tags"],
)
def test_without_arguments_read_no_plan_selects_by_arguments(app: App, book: Book, selector: Selector) -> None:  # K2.C
    operator = Operator("eve", frozenset(Permission) - {Permission.ARGUMENTS_READ})
    dead_runs(book, 1)

    for act in (replay(app, operator), CancelAction(), PurgeAction(), PurgeAction(erase=True), RestoreAction()):
        with pytest.raises(Forbidden, match="arguments:read"):
            plan(app, operator, act, selector)


@pytest.mark.parametrize("count", [0, 1])
def test_a_plan_is_carried_out_only_by_who_may_do_it(app: App, ada: Operator, book: Book, count: int) -> None:  # K2.C
    reader = Operator("eve", frozenset({Permission.RUNS_READ}))
    dead = dead_runs(book, count)
    act = replay(app, ada)
    planned = plan(app, ada, act, EVERYTHING)

    with pytest.raises(Forbidden, match="runs:replay"):
        begin(app, reader, act, planned)
    with pytest.raises(Forbidden, match="runs:replay"):
        carry_out(app, reader, act, planned)

    assert [book.run(one).state for one in dead] == [RunState.DEAD] * count
    with app.database.read() as connection:
        assert audit_queries.list_actions(connection) == []


def test_a_setting_requires_a_reason(app: App, ada: Operator, book: Book) -> None:
    dead_runs(book, 1)
    strict = replace(app, settings=app.settings.model_copy(update={"require_reason": True}))

    with pytest.raises(SelectorRefused, match="reason is required"):
        act_on(strict, ada, replay(strict, ada), EVERYTHING)


def test_a_limit_takes_the_oldest(app: App, ada: Operator, book: Book) -> None:
    # In the past: an action leaves what entered its state after it began.
    book.step(-1)
    dead = []
    # Well before the ledger's own moment: what dies after an action has begun is none of its business.
    book.step(-60)
    for _ in range(4):
        book.step(0.01)
        dead += dead_runs(book, 1)

    act_on(app, ada, replay(app, ada), replace(EVERYTHING, limit=2))

    assert [book.run(one).state.value for one in dead] == ["queued", "queued", "dead", "dead"]
