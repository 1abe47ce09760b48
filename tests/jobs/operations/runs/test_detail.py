"""Detail: a run with what belongs to it, each list in pages that neither repeat nor miss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from jobs.app import App
from jobs.definition.redaction import HIDDEN
from jobs.errors import Forbidden
from jobs.ledger.effects import followups, steps
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import FollowUp
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs import detail as details
from jobs.operations.runs.explain import explain
from jobs.operations.runs.inspect import check_words
from jobs.states import Outcome, RunState
from tests.book import Book, new_run


def walked(read: Callable[..., details.DetailPage[Any, Any]]) -> list[Any]:
    """Every item, two at a time."""
    found, after = [], None
    while True:
        page = read(after=after, limit=2)
        assert len(page.items) <= 2
        found += page.items
        after = page.next_after
        if after is None:
            return found


def family(book: Book) -> tuple[UUID, list[UUID]]:
    """A run that was tried five times, with five steps, children and follow-ups."""
    follow = tuple(FollowUp("dead", new_run(kind="After")) for _ in range(5))
    run = new_run(max_attempts=9, followups=follow)
    book.insert([run])
    with book.database.write() as connection:
        followups.insert_followups(connection, [run], now=book.now)
    parent = run.id
    for number in range(5):
        (held,) = book.claim(parent)
        with book.database.write() as connection:
            steps.begin_effect(connection, parent, held.token, f"step{number}", attempt=number + 1, now=book.now)
        book.end(held, Outcome.FAILED)
        book.step(3600)
    return parent, [book.enqueue(parent_id=parent, root_id=parent) for _ in range(5)]


def test_each_list_of_a_run_is_whole_when_read_in_pages(app: App, ada: Operator, book: Book) -> None:
    parent, born = family(book)
    book.enqueue(parent_id=born[0])

    assert [one.attempt for one in walked(lambda **at: details.attempts_of(app, ada, parent, **at))] == [5, 4, 3, 2, 1]
    named = [one.name for one in walked(lambda **at: details.steps_of(app, ada, parent, **at))]
    assert named == [f"step{number}" for number in range(5)]
    assert [one.id for one in walked(lambda **at: details.children_of(app, ada, parent, **at))] == sorted(born)
    follow = walked(lambda **at: details.followups_of(app, ada, parent, **at))
    assert len({one["id"] for one in follow}) == 5
    assert {(one["kind"], one["enqueued_at"]) for one in follow} == {("After", None)}


def test_a_detail_names_where_a_run_comes_from_and_what_came_of_it(app: App, ada: Operator, book: Book) -> None:
    root = book.enqueue()
    middle = book.enqueue(parent_id=root, root_id=root)
    last, _ = book.bring(RunState.SUCCEEDED, parent_id=middle, root_id=root)
    act = ReplayAction(app=app, operator=ada)
    report = carry_out(app, ada, act, plan(app, ada, act, Selector(ids=(last,), states=("succeeded",))))
    ((_, again),) = report.new_runs

    found = details.detail(app, ada, str(last))
    new = details.detail(app, ada, str(again))

    assert {name: run.id for name, run in found.origins.items()} == {"parent": middle, "root": root}
    assert [run.id for run in found.replays.items] == [again]
    assert [one["verb"] for one in found.actions] == ["replay"]
    assert new.origins["replayed_from"].id == last
    assert [run.id for run in details.detail(app, ada, str(middle)).children.items] == sorted([last, again])


def test_data_is_hidden_without_the_permission(app: App, book: Book) -> None:
    parent, _ = family(book)
    reader = Operator("eve", frozenset({Permission.RUNS_READ}))

    found = details.detail(app, reader, str(parent))

    assert found.run.arguments == HIDDEN
    assert {one.result for one in found.steps.items} == {HIDDEN}
    assert {one.arguments for one in found.children.items} == {HIDDEN}
    assert found.actions == []


# K2.18
def test_keys_tags_and_reasons_are_hidden_as_arguments_are_and_not_looked_for(app: App, book: Book) -> None:
    run_id = book.enqueue(tags='["ann"]')
    book.change(run_id, key="ann@example.org")
    book.cancel(run_id, reason="ann asked")
    reader = Operator("eve", frozenset({Permission.RUNS_READ}))

    run = details.detail(app, reader, str(run_id)).run

    assert (run.key, run.cancel_reason, list(run.tags)) == (HIDDEN, HIDDEN, [HIDDEN])
    assert "ann" not in explain(app, reader, str(run_id)).sentence
    for asked in ({"keys": ("ann@*",)}, {"tags": ("ann",)}):
        with pytest.raises(Forbidden):
            check_words(Selector(**asked), reader)
