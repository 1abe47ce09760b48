"""Rates under operators: another rate is in force at the next claim, plans the slots anew, and can be undone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from jobs import Job, Limit, Rate
from jobs.app import App
from jobs.definition import registry
from jobs.definition.limits import limited_kinds, limits_of
from jobs.errors import SelectorRefused
from jobs.ledger.limits.counts import declare
from jobs.observe.gauges.limit_gauges import limit_gauges
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import Operator
from jobs.operations.bulk.undo import plan_undo, undo
from jobs.operations.control.limits import clear_limit, list_limits, set_limit, show_limit
from jobs.operations.runs.explain import explain
from tests.book import Book

KINDS = ("OpCall", "OpUpload")


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class OpCall(Job, limits=Rate(6, per=timedelta(minutes=1), name="op-api")):
        def perform(self) -> None: ...

    class OpUpload(Job, limits=[Limit(5, name="op-up"), Rate(60, per=timedelta(minutes=1), by="account")]):
        account: str

        def perform(self) -> None: ...

    yield
    for kind in KINDS:
        registry.forget(kind)
        limited_kinds.pop(kind)


@pytest.fixture(autouse=True)
def declared(app: App) -> None:
    with app.database.write() as connection:
        declare(connection, limits_of(KINDS))


def calls(book: Book, count: int) -> list[UUID]:
    return [book.enqueue(kind="OpCall") for _ in range(count)]


def claimed(book: Book, app: App) -> list[UUID]:
    book.now = app.clock.now()
    return [one.run_id for one in book.claim_due(20, kinds=KINDS)]


def spacing(book: Book, runs: list[UUID]) -> list[float]:
    """Seconds between the slots of parked runs."""
    slots = [book.run(one).held_until for one in runs]
    return [round((later - sooner).total_seconds(), 1) for sooner, later in pairwise(slots) if sooner and later]


def test_another_rate_plans_the_slots_anew_and_undo_plans_them_back(app: App, ada: Operator, book: Book) -> None:
    runs = calls(book, 4)
    assert claimed(book, app) == runs[:1]
    assert spacing(book, runs[1:]) == [10.0, 10.0]

    done = set_limit(app, ada, "op-api", rate="60/m", reason="they allow more")

    assert (done.pace, done.rate, done.set_rate, done.parked) == ("60/m", "6/m", "60/m", 0)
    claimed(book, app)
    assert spacing(book, runs[1:]) == [1.0, 1.0]
    action = next(one for one in list_actions(app, ada) if one["verb"] == "limit")
    assert (action["before"]["set_rate"], action["after"]["set_rate"]) == (None, [60, 60.0])
    undo(app, ada, plan_undo(app, ada, str(action["id"])))
    claimed(book, app)
    # The faster rate had room for one more by now.
    assert spacing(book, runs[2:]) == [10.0]
    assert show_limit(app, ada, "op-api")[0].pace == "6/m"


def test_lists_show_the_rate_and_its_next_slot_and_why_names_the_slot_of_a_run(
    app: App, ada: Operator, book: Book
) -> None:
    runs = calls(book, 3)
    claimed(book, app)

    (found,) = [one for one in list_limits(app, ada) if one.name == "op-api"]
    said = explain(app, ada, str(runs[2])).sentence

    assert (found.allowed, found.pace, found.parked) == (None, "6/m", 2)
    shown = {(metric.name, labels[0]): value for metric, labels, value in limit_gauges(app)()}
    assert shown["jobs_limit_parked", "op-api"] == 2.0
    assert ("jobs_limit_most", "op-api") not in shown, "a rate allows no number of runs at once"
    slot = book.run(runs[2]).held_until
    assert slot is not None
    assert found.next_slot_at is not None
    assert timedelta(seconds=9) < found.next_slot_at - slot < timedelta(seconds=11)
    assert said.startswith("It is parked: its slot of op-api (6/m) is at ")
    assert f"{slot:%H:%M:%S}." in said


def test_the_end_of_a_hold_gives_parked_runs_their_slots(app: App, ada: Operator, book: Book) -> None:
    runs = calls(book, 2)
    set_limit(app, ada, "op-api", hold=timedelta(minutes=10))
    assert claimed(book, app) == []
    assert "an operator holds op-api" in explain(app, ada, str(runs[0])).sentence

    clear_limit(app, ada, "op-api")

    assert claimed(book, app) == runs[:1]


def test_a_key_may_have_a_rate_of_its_own(app: App, ada: Operator, book: Book) -> None:
    runs = [book.enqueue(kind="OpUpload", arguments={"account": "a"}) for _ in range(3)]
    set_limit(app, ada, "OpUpload", key="a", rate="6/m")

    claimed(book, app)

    assert spacing(book, runs[1:]) == [10.0]
    assert [(one.key, one.set_rate) for one in show_limit(app, ada, "OpUpload")[1]] == [("a", "6/m")]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("op-api", {"rate": "600"}, "is not a rate: write 600/m"),
        ("op-api", {"rate": "0/m"}, "pause the kind"),
        ("op-api", {"rate": "1/2h"}, "slower than one an hour"),
        ("op-api", {"rate": "2000000/s"}, "faster than a million a second"),
        ("op-api", {"most": 3}, "op-api is a rate"),
        ("op-up", {"rate": "6/m"}, "op-up is no rate"),
        ("op-api", {"rate": "6/m", "key": "a"}, "has no keys"),
    ],
)
def test_invalid_values_are_refused_with_a_message(
    app: App, ada: Operator, name: str, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(SelectorRefused) as caught:
        set_limit(app, ada, name, **given)
    assert words in f"{caught.value.message} {caught.value.hint}"
