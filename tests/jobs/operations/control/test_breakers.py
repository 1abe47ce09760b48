"""Breakers under operators: what is open and why, its release on record, and what stays hidden."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from jobs import Breaker, Job
from jobs.app import App
from jobs.definition import registry
from jobs.definition.breakers import breakers_of, guarded_kinds
from jobs.definition.redaction import HIDDEN
from jobs.errors import Conflict, Forbidden, NotFound, SelectorRefused
from jobs.ledger.breakers.slices import declare
from jobs.ledger.records import Failure
from jobs.observe.gauges.breaker_gauges import breaker_gauges
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.undo import plan_undo
from jobs.operations.control.breakers import list_breakers, release, show_breaker
from jobs.operations.runs.explain import explain
from jobs.states import Outcome
from tests.book import Book, attempt_result

KINDS = ("OpPay",)
DOWN = Failure("ConnectionError", "refused", None, "abcdefabcdef")


@pytest.fixture(scope="module", autouse=True)
def kinds() -> Iterator[None]:
    class OpPay(Job, breaker=Breaker(after=2, by="provider", open_for=timedelta(hours=1))):
        provider: str

        def perform(self) -> None: ...

    yield
    registry.forget("OpPay")
    guarded_kinds.pop("OpPay")


@pytest.fixture
def parked(app: App, book: Book) -> list[UUID]:
    """Four runs that an open breaker parks."""
    book.now = app.clock.now()
    with app.database.write() as connection:
        declare(connection, breakers_of(KINDS))
    runs = [book.enqueue(kind="OpPay", arguments={"provider": "eu-17"}) for _ in range(6)]
    claims = book.claim_due(2, kinds=KINDS)
    book.settle(*[attempt_result(one, Outcome.FAILED, failure=DOWN, delay=7200) for one in claims])
    assert book.claim_due(10, kinds=KINDS) == []
    failed = {one.run_id for one in claims}
    return [one for one in runs if one not in failed]


def claimed(book: Book, app: App) -> int:
    book.now = app.clock.now()
    return len(book.claim_due(20, kinds=KINDS))


def test_a_release_makes_all_parked_runs_ready_and_is_on_record(
    app: App, ada: Operator, book: Book, parked: list[UUID]
) -> None:
    (one,) = list_breakers(app, ada)
    assert (one.name, one.open, one.parked) == ("OpPay", 1, 4)
    assert {sample[0].name: sample[2] for sample in breaker_gauges(app)()} == {
        "jobs_breaker_open": 1.0, "jobs_breaker_parked": 4.0,
    }  # fmt: skip

    assert release(app, ada, "OpPay", reason="they fixed it") == (1, 4)

    assert claimed(book, app) == 4
    action = next(one for one in list_actions(app, ada) if one["verb"] == "release_breaker")
    assert (action["reason"], action["done"]) == ("they fixed it", 4)
    with pytest.raises(Conflict, match="cannot be undone"):
        plan_undo(app, ada, str(action["id"]))
    with pytest.raises(Conflict, match="is not open"):
        release(app, ada, "OpPay")


def test_canaries_go_first_and_all_of_them_must_succeed(
    app: App, ada: Operator, book: Book, parked: list[UUID]
) -> None:
    assert release(app, ada, DOWN.fingerprint, canary=2) == (1, 2)
    book.now = app.clock.now()
    first, second = book.claim_due(20, kinds=KINDS)

    book.end(first, Outcome.SUCCEEDED)
    assert claimed(book, app) == 0
    book.end(second, Outcome.SUCCEEDED)

    assert claimed(book, app) == 2


def test_the_first_canary_that_fails_opens_it_again(app: App, ada: Operator, book: Book, parked: list[UUID]) -> None:
    release(app, ada, "OpPay", key="eu-17", canary=2)
    book.now = app.clock.now()
    first, second = book.claim_due(20, kinds=KINDS)

    book.end(first, Outcome.FAILED, failure=DOWN, delay=7200)
    book.end(second, Outcome.SUCCEEDED)

    assert claimed(book, app) == 0
    _, (key,) = show_breaker(app, ada, "OpPay")
    assert (key.key, key.failed_canaries, key.parked) == ("eu-17", 1, 2)


def test_why_says_since_when_and_what_goes_next_and_hides_the_key(
    app: App, ada: Operator, book: Book, parked: list[UUID]
) -> None:
    bob = Operator("bob", ROLES["viewer"])

    found, hidden = (explain(app, one, str(parked[1])) for one in (ada, bob))

    assert "the breaker OpPay of eu-17 is open since" in found.sentence
    assert "2 failures of ConnectionError within 1m" in found.sentence
    assert "one canary goes at" in found.sentence
    assert "this run goes as the canary at" in explain(app, ada, str(parked[0])).sentence
    assert "eu-17" not in hidden.sentence
    assert [one.key for one in show_breaker(app, bob, "OpPay")[1]] == [HIDDEN]


def test_invalid_values_are_refused_with_a_message(app: App, ada: Operator, parked: list[UUID]) -> None:
    with pytest.raises(NotFound, match="Did you mean 'OpPay'"):
        release(app, ada, "OpPai")
    with pytest.raises(NotFound, match="no breaker"):
        show_breaker(app, ada, "nothing")
    with pytest.raises(SelectorRefused, match="1 to 1,000 canaries"):
        release(app, ada, "OpPay", canary=0)
    with pytest.raises(Conflict, match="for this key"):
        release(app, ada, "OpPay", key="another")
    with pytest.raises(Forbidden):
        release(app, Operator("bob", ROLES["viewer"]), "OpPay")
