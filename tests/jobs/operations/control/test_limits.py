"""Limits under operators: what they set is in force at the next claim, is on record, and can be undone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from jobs import Job, Limit
from jobs.app import App
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.definition.redaction import HIDDEN
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused
from jobs.ledger.limits.counts import declare
from jobs.observe.gauges.limit_gauges import limit_gauges
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.limits import clear_limit, list_limits, set_limit, show_limit
from jobs.operations.runs.explain import explain
from tests.book import Book

KINDS = ("OpCharge",)


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class OpCharge(Job, limits=[Limit(2, by="account"), Limit(4, name="op-stripe")]):
        account: str

        def perform(self) -> None: ...

    yield
    registry.forget("OpCharge")
    limited_kinds.pop("OpCharge")


@pytest.fixture(autouse=True)
def declared(app: App) -> None:
    with app.database.write() as connection:
        declare(connection, limits_of(KINDS))


def charges(book: Book, count: int, account: str = "a") -> list[UUID]:
    return [book.enqueue(kind="OpCharge", arguments={"account": account}) for _ in range(count)]


def claimed(book: Book, app: App) -> int:
    book.now = app.clock.now()
    return len(book.claim_due(20, kinds=KINDS))


def test_a_larger_number_makes_parked_runs_ready_and_a_smaller_one_interrupts_nothing(
    app: App, ada: Operator, book: Book
) -> None:
    charges(book, 8)
    assert claimed(book, app) == 2

    done = set_limit(app, ada, "OpCharge", key="a", most=3, reason="they allow more")
    assert (done.key, done.set_most, done.in_use, done.parked) == ("a", 3, 3, 5)
    assert claimed(book, app) == 1
    set_limit(app, ada, "op-stripe", most=1)
    set_limit(app, ada, "OpCharge", most=8)
    assert claimed(book, app) == 0

    limits = {one.name: (one.allowed, one.most, one.in_use, one.parked) for one in list_limits(app, ada)}
    assert limits == {"OpCharge": (8, 2, 3, 5), "op-stripe": (1, 4, 3, 0)}
    clear_limit(app, ada, "OpCharge", key="a")
    clear_limit(app, ada, "op-stripe")
    assert claimed(book, app) == 1


def test_a_hold_starts_nothing_until_it_is_over_or_cleared(app: App, ada: Operator, book: Book) -> None:
    (run_id,) = charges(book, 1)
    done = set_limit(app, ada, "op-stripe", hold=timedelta(minutes=10))

    assert done.hold_until is not None
    assert claimed(book, app) == 0
    assert book.run(run_id).held_until == done.hold_until
    assert "an operator holds op-stripe" in explain(app, ada, str(run_id)).sentence
    clear_limit(app, ada, "op-stripe")
    assert claimed(book, app) == 1


def test_a_change_is_on_record_and_can_be_undone_once(app: App, ada: Operator, book: Book) -> None:
    charges(book, 4)
    claimed(book, app)
    set_limit(app, ada, "OpCharge", most=1, reason="too many")
    action = next(one for one in list_actions(app, ada) if one["verb"] == "limit")
    assert (action["target"], action["reason"], action["before"]["set_most"], action["after"]["set_most"]) == (
        "limit:OpCharge", "too many", None, 1,
    )  # fmt: skip

    undo(app, ada, plan_undo(app, ada, str(action["id"])))

    assert show_limit(app, ada, "OpCharge")[0].set_most is None
    set_limit(app, ada, "OpCharge", most=1)
    action = next(one for one in list_actions(app, ada) if one["verb"] == "limit")
    set_limit(app, ada, "OpCharge", most=5)
    with pytest.raises(Conflict, match="changed since"):
        undo(app, ada, plan_undo(app, ada, str(action["id"])))


def test_why_names_the_limit_and_who_holds_it_and_hides_keys(app: App, ada: Operator, book: Book) -> None:
    first, _, parked = charges(book, 3, "eu-17")
    claimed(book, app)

    found = explain(app, ada, str(parked))
    hidden = explain(app, Operator("bob", ROLES["viewer"]), str(parked))

    assert found.sentence == "It is parked: OpCharge of eu-17 has 2 of 2 performing."
    assert str(first)[-8:] in str(dict(found.evidence)["performing"])
    assert "eu-17" not in hidden.sentence
    assert "#" not in str(hidden.run.held_on)
    assert [one.key for one in show_limit(app, Operator("bob", ROLES["viewer"]), "OpCharge")[1]] == [HIDDEN]
    assert [one.key for one in show_limit(app, ada, "OpCharge")[1]] == ["eu-17"]


def test_invalid_values_are_refused_with_a_message(app: App, ada: Operator) -> None:
    with pytest.raises(NotFound, match="Did you mean 'op-stripe'"):
        set_limit(app, ada, "op-strip", most=2)
    with pytest.raises(SelectorRefused, match="pause the kind"):
        set_limit(app, ada, "op-stripe", most=0)
    with pytest.raises(SelectorRefused, match="Nothing is to be set"):
        set_limit(app, ada, "op-stripe")
    with pytest.raises(SelectorRefused, match="has no keys"):
        set_limit(app, ada, "op-stripe", key="a", most=2)
    with pytest.raises(Conflict, match="Nothing is set"):
        clear_limit(app, ada, "op-stripe")
    with pytest.raises(Forbidden):
        set_limit(app, Operator("bob", ROLES["viewer"]), "op-stripe", most=2)


def test_metrics_show_each_limit_without_keys(app: App, ada: Operator, book: Book) -> None:
    held = charges(book, 3)
    claimed(book, app)

    found = {(metric.name, labels[0]): value for metric, labels, value in limit_gauges(app)()}

    assert found["jobs_limit_in_use", "OpCharge"] == found["jobs_limit_most", "OpCharge"] == 2.0
    assert found["jobs_limit_parked", "OpCharge"] == 1.0
    assert (found["jobs_limit_most", "op-stripe"], len(held)) == (4.0, 3)
