"""Compat: what the code at hand can do with the arguments in the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from jobs import Cause, Job
from jobs.app import App
from jobs.definition import registry
from jobs.definition.class_release import release_of
from jobs.enqueue.write_path import enqueue_runs
from jobs.ledger import workers
from jobs.ledger.records import FollowUp
from jobs.operations.audit.operator import Operator
from jobs.operations.deploys.compat import KindCompat, Result, compare
from jobs.states import Outcome
from tests.book import Book, new_run

ADA = Operator("ada")


class Renamed(Job, kind="compat.Renamed"):
    order_id: int
    lines: tuple[dict[str, int], ...] = ()

    def perform(self) -> None:
        raise AssertionError("compat performs nothing")


class Grown(Job, kind="compat.Grown", aliases=["compat.Old"], version=3):
    size: int

    @classmethod
    def upcast(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
        return {"size": int(arguments["length"])} if version == 2 else arguments

    def perform(self) -> None: ...


@pytest.fixture
def book(app: App) -> Book:
    return Book(app.database)


def found(app: App, **given: Any) -> dict[tuple[str, str], KindCompat]:
    return {(one.kind.removeprefix("compat."), one.place): one for one in compare(app, ADA, **given)}


def test_each_kind_in_the_ledger_fits_is_upcast_or_does_not_fit(app: App, book: Book) -> None:
    book.enqueue(kind="compat.Renamed", arguments={"order_id": 1})
    first = book.enqueue(kind="compat.Renamed", arguments={"order": 1})
    since = book.now
    book.step(60)
    book.enqueue(kind="compat.Renamed", arguments={"order": 2}, delay_seconds=3600.0)
    for place in (0, 1):
        lines = [{"n": 1}] * place + [{"n": "x"}]
        book.enqueue(kind="compat.Renamed", arguments={"order_id": 1, "lines": lines})
    book.enqueue(kind="compat.Old", arguments={"length": "3"}, arguments_version=2)
    book.enqueue(kind="compat.Grown", arguments={"size": "many"}, arguments_version=4)
    book.enqueue(kind="compat.Strange", arguments={})
    before = rows(app)

    told = found(app)

    renamed = told["Renamed", "waiting"]
    assert (renamed.result, renamed.breaks, renamed.number, renamed.fit.checked) == (Result.MISFIT, True, 5, 5)
    assert [(one.field, one.count) for one in renamed.misfits] == [("order_id", 2), ("lines.*.n", 2)]
    assert (renamed.misfits[0].since, renamed.misfits[0].example) == (since, str(first))
    old, grown = told["Old", "waiting"], told["Grown", "waiting"]
    assert (old.result, old.fit.by_upcast, old.breaks) == (Result.UPCAST, 1, False)
    assert "of version 4, and this code has 3" in grown.misfits[0].why
    assert (told["Strange", "waiting"].result, told["Strange", "waiting"].breaks) == (Result.UNKNOWN, True)
    assert next(iter(compare(app, ADA))).breaks
    assert rows(app) == before


def test_running_and_dead_runs_followups_and_operators_schedules_are_checked(app: App, book: Book) -> None:
    bad: dict[str, Any] = {"kind": "compat.Renamed", "arguments": {"order": 1}}
    (held,) = book.claim(book.enqueue(**bad), kinds=["compat.Renamed"])
    book.end(held, Outcome.GAVE_UP, cause=Cause.GAVE_UP)
    assert [(place, one.breaks) for (_, place), one in found(app).items()] == [("dead", False)]

    book.claim(book.enqueue(**bad), kinds=["compat.Renamed"])
    followup = FollowUp("succeeded", new_run(**bad))
    parent = new_run(kind="compat.Grown", arguments={"size": 1}, arguments_version=3, followups=(followup,))
    enqueue_runs(app, [parent])
    schedule(app, "operator's", "operator")
    schedule(app, "code's", "code")
    told = found(app)

    assert {place: one.number for (kind, place), one in told.items() if kind == "Renamed"} == {
        "running": 1, "dead": 1, "follow-ups": 1, "schedules": 1,
    }  # fmt: skip
    assert all(one.result is Result.MISFIT for (kind, _), one in told.items() if kind == "Renamed")
    assert told["Renamed", "schedules"].misfits[0].example == "operator's"
    assert [one.kind for one in compare(app, ADA, kinds=["*Grown"])] == ["compat.Grown"]


@pytest.mark.parametrize(
    ("kinds", "result", "breaks"),
    [
        ((), Result.UNKNOWN, True),
        (["compat.Gone", "compat.Renamed"], Result.REMOVED, True),
        (["compat.Gone", "other.Kind"], Result.ELSEWHERE, False),
    ],
)
def test_an_unknown_kind_breaks_the_check_unless_another_application_serves_it(
    app: App, book: Book, kinds: Sequence[str], result: Result, breaks: bool
) -> None:
    book.enqueue(kind="compat.Gone")
    if kinds:
        with app.database.write() as connection:
            workers.register(
                connection, "w", host="h", pid=1, version="1", queues=["default"], kinds=kinds, threads=1,
                codes=dict.fromkeys(kinds, str(release_of(Renamed))),
            )  # fmt: skip

    one = found(app)["Gone", "waiting"]

    assert (one.result, one.breaks) == (result, breaks)
    assert dict(one.live) == ({release_of(Renamed): 1} if kinds else {})


@pytest.mark.parametrize("apart", [timedelta(seconds=1), timedelta(0)])
def test_a_large_queue_is_sampled_over_its_whole_time(app: App, book: Book, apart: timedelta) -> None:
    runs = 400
    for n in range(runs):
        # A release that was live for a tenth of the time wrote another field.
        book.enqueue(kind="compat.Renamed", arguments={"order" if 200 <= n < 240 else "order_id": n})
        book.now += apart

    one, every = (found(app, sample=sample)["Renamed", "waiting"] for sample in (100, None))

    assert (one.number, one.fit.checked, one.is_sampled) == (runs, 100, True)
    assert (every.fit.checked, every.misfits[0].count, every.is_sampled) == (runs, 40, False)
    if apart:
        assert 5 <= one.misfits[0].count <= 15


def test_many_kinds_have_smaller_samples_so_that_a_bounded_number_is_checked(
    app: App, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.operations.deploys.compat.LEAST_SAMPLE", 2)
    for n in range(30):
        for queue in ("first", "second", "third"):
            book.enqueue(kind="compat.Renamed", queue=queue, arguments={"order_id": n})
        book.now += timedelta(seconds=1)

    checked = {
        in_all: found(app, sample=20, in_all=in_all)["Renamed", "waiting"].fit.checked for in_all in (None, 30, 3)
    }

    assert checked == {None: 60, 30: 30, 3: 6}


def test_the_runs_of_a_state_are_counted_by_one_statement_however_many_kinds_there_are(app: App, book: Book) -> None:
    for kind in ("compat.Renamed", "compat.Grown"):
        for queue in ("first", "second"):
            book.enqueue(kind=kind, queue=queue)
    statements: list[str] = []

    def hear(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(app.database.engine, "before_cursor_execute", hear)
    try:
        counts = {key: one.number for key, one in found(app).items()}
    finally:
        event.remove(app.database.engine, "before_cursor_execute", hear)

    assert counts == {("Renamed", "waiting"): 2, ("Grown", "waiting"): 2}
    assert sum("count(" in one for one in statements) == 3


def test_misfits_of_many_reasons_are_counted_together(app: App, book: Book) -> None:
    for n in range(30):
        book.enqueue(kind="compat.Renamed", arguments={"order_id": 1, f"field{n}": n})

    one = found(app)["Renamed", "waiting"]

    assert len(one.misfits) <= 21
    assert sum(misfit.count for misfit in one.misfits) == 30


def rows(app: App) -> list[Any]:
    with app.database.read() as connection:
        return connection.execute(text("select id, state, attempt from job_runs order by id")).all()  # type: ignore[return-value]


def schedule(app: App, name: str, owner: str) -> None:
    statement = (
        "insert into job_schedules (name, owner, module, kind, queue, priority, arguments, arguments_version, "
        "max_attempts, definition, created_at, changed_at, decided_until) values (:name, :owner, :module, "
        "'compat.Renamed', 'default', 0, :arguments, 1, 1, '{}', :at, :at, :at)"
    )
    with app.database.write() as connection:
        connection.execute(
            text(statement),
            {"name": name, "owner": owner, "module": "m" if owner == "code" else None,
             "arguments": json.dumps({"order": 1}), "at": "2026-03-01 12:00:00.000000"},
        )  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def forget() -> Iterator[None]:
    yield
    for kind in ("compat.Renamed", "compat.Grown"):
        registry.forget(kind)
