"""Operators enqueue by kind: the arguments are checked by the job, and it is on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobs import Job, boot
from jobs.app import App
from jobs.definition import registry
from jobs.errors import ArgumentsRefused, Forbidden, NotFound
from jobs.ledger.operators import audit_queries
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.runs.enqueue import enqueue_run
from jobs.operations.runs.inspect import find_run, list_runs


@pytest.fixture(autouse=True)
def letter(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(boot, "_app", app)

    class Letter(Job, queue="mail"):
        to: str
        copies: int = 1

        def idempotency_key(self) -> str | None:
            return None if self.to == "all" else self.to

        def perform(self) -> None: ...

    yield
    registry.forget("Letter")


def actions(app: App) -> list[dict[str, Any]]:
    with app.database.read() as connection:
        return audit_queries.list_actions(connection)


def test_an_enqueued_run_is_recorded_as_the_operators(app: App, ada: Operator) -> None:
    done = enqueue_run(app, ada, "Letter", {"to": "all", "copies": 2}, reason="asked for", tags=["eu"])

    run, _ = find_run(app, ada, str(done.id))
    assert (run.kind, run.queue, run.arguments, run.tags) == ("Letter", "mail", {"to": "all", "copies": 2}, ["eu"])
    assert run.enqueued_by == "ada@desk"
    (action,) = actions(app)
    assert (action["verb"], action["actor"], action["target"]) == ("enqueue", "ada@desk", "kind Letter")
    assert (action["reason"], action["after"]) == ("asked for", {"run_id": str(done.id), "queue": "mail"})


def test_a_held_key_returns_the_run_that_holds_it(app: App, ada: Operator) -> None:
    first = enqueue_run(app, ada, "Letter", {"to": "ann"})
    again = enqueue_run(app, ada, "Letter", {"to": "ann"})

    assert (again.id, again.created) == (first.id, False)
    assert [one["done"] for one in actions(app)] == [0, 1]


@pytest.mark.parametrize("arguments", [{}, {"to": 7}, {"to": "ann", "other": 1}, {"to": "a\x00b"}, {"to": "\ud800"}])
def test_arguments_that_do_not_fit_leave_nothing(app: App, ada: Operator, arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsRefused):
        enqueue_run(app, ada, "Letter", arguments)

    assert actions(app) == []
    assert list_runs(app, ada, Selector()).runs == []


def test_enqueueing_needs_a_known_kind_and_the_permission(app: App, ada: Operator) -> None:
    with pytest.raises(NotFound, match="Lettre"):
        enqueue_run(app, ada, "Lettre", {})
    with pytest.raises(Forbidden):
        enqueue_run(app, Operator("viewer", frozenset({Permission.RUNS_READ})), "Letter", {"to": "ann"})
