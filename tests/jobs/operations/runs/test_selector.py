"""One selector, each of its words among decoys, the same on both dialects; and no scan of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.app import App
from jobs.errors import Ambiguous, NotFound, SelectorRefused
from jobs.ledger.queries.selectors import Selector
from jobs.ledger.records import Failure
from jobs.operations.audit.operator import Operator
from jobs.operations.runs.inspect import list_runs
from jobs.operations.runs.selector import SelectorInput, make_selector
from jobs.states import Cause, Outcome, RunState
from tests.book import BOOM, Book


def found(app: App, ada: Operator, **asked: Any) -> set[UUID]:
    selector = make_selector(app, SelectorInput(**asked))
    return {run.id for run in list_runs(app, ada, selector, limit=1000).runs}


@pytest.fixture
def cast(book: Book) -> dict[str, UUID]:
    """One run of each sort."""
    runs: dict[str, UUID] = {}
    runs["ready"] = book.enqueue(kind="Mail", arguments={"order_id": 42, "card": {"no": "x%y"}, "vip": True})
    runs["scheduled"] = book.enqueue(kind="Mail", queue="slow", delay_seconds=3600.0, tags='["eu", "new"]')
    held = book.start(kind="Mail")
    book.change(held.run_id, key="order:1")
    book.end(held, Outcome.FAILED, failure=BOOM, delay=600.0)
    runs["retrying"] = held.run_id
    runs["running"] = book.start(kind="Mail", parent_id=runs["ready"]).run_id
    for state in (RunState.SUCCEEDED, RunState.DEAD, RunState.CANCELLED):
        runs[state.value], _ = book.bring(state, kind="Mail", arguments={"order_id": 7})
    held = book.start(kind="Mail", queue="pay_ments")
    book.change(held.run_id, key="a[1]")
    failure = Failure("shop.errors.Timeout", "no answer after 30s", None, "ffff00001111")
    book.end(held, Outcome.GAVE_UP, cause=Cause.BAD_ARGUMENTS, failure=failure)
    runs["timeout"] = held.run_id
    return runs


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"states": ("ready",)}, {"ready"}),
        ({"states": ("scheduled", "retrying")}, {"scheduled", "retrying"}),
        ({"states": ("queued",)}, {"ready", "scheduled", "retrying"}),
        ({"states": ("running,cancelled",)}, {"running", "cancelled"}),
        ({"states": ("dead",)}, {"dead", "timeout"}),
        ({"causes": ("bad_arguments",)}, {"timeout"}),
        ({"queues": ("slow", "pay_*")}, {"scheduled", "timeout"}),
        ({"queues": ("payxments",)}, set()),
        ({"kinds": ("mail",)}, set()),
        ({"kinds": ("Ma?l",), "states": ("succeeded",)}, {"succeeded"}),
        ({"errors": ("Timeout",)}, {"timeout"}),
        ({"errors": ("shop.*",)}, {"timeout"}),
        ({"errors": ("no answer",)}, {"timeout"}),
        ({"errors": ("boom",)}, {"retrying"}),
        ({"fingerprints": ("ffff",)}, {"timeout"}),
        ({"fingerprints": ("0123456789ab",)}, {"retrying"}),
        ({"keys": ("order:1",)}, {"retrying"}),
        ({"keys": ("a[*",)}, {"timeout"}),
        ({"tags": ("eu",)}, {"scheduled"}),
        ({"tags": ("e",)}, set()),
        ({"arguments": ("order_id=42",)}, {"ready"}),
        ({"arguments": ("card.no=x%y",)}, {"ready"}),
        ({"arguments": ("vip=true",)}, {"ready"}),
        ({"arguments": ("order_id=7",), "states": ("dead",)}, {"dead"}),
        ({"where": "state:dead args.order_id:7"}, {"dead"}),
        ({"where": 'error:"no answer*"'}, {"timeout"}),
        ({"where": "attempt:>=1 state:queued"}, {"retrying"}),
        ({"where": "age:>1h"}, set()),
        ({"where": "age:<1h state:running"}, {"running"}),
        ({"since": "1h", "states": ("cancelled",)}, {"cancelled"}),
        ({"until": "1h"}, set()),
    ],
)
def test_each_word_finds_what_it_means_and_nothing_else(
    app: App, ada: Operator, cast: dict[str, UUID], asked: dict[str, Any], names: set[str]
) -> None:
    assert found(app, ada, **asked) == {cast[name] for name in names}


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("held:stripe", {"limit:stripe", "limit:stripe#ab12", "rate:stripe", "breaker:stripe"}),
        ("held:limit:stripe", {"limit:stripe", "limit:stripe#ab12"}),
        ('held:"limit:stripe","rate:stripe" queue:default', {"limit:stripe", "limit:stripe#ab12", "rate:stripe"}),
        ("held:strip", set()),
    ],
)
def test_runs_are_found_by_what_they_are_parked_on(
    app: App, ada: Operator, book: Book, where: str, names: set[str]
) -> None:
    held: dict[str, UUID] = {}
    for name in ("limit:stripe", "limit:stripe#ab12", "limit:stripe2", "rate:stripe", "breaker:stripe", "signal:ok"):
        held[name] = book.enqueue(kind="Mail")
        book.change(held[name], hold="parked", held_on=name, held_at=book.now)

    assert found(app, ada, where=where) == {held[name] for name in names}


def test_ids_are_found_by_tail_by_head_and_whole(app: App, ada: Operator, cast: dict[str, UUID]) -> None:
    for run_id in cast.values():
        assert found(app, ada, ids=(str(run_id)[-8:],)) == {run_id}
        assert found(app, ada, ids=(run_id.hex[-6:],)) == {run_id}
        assert found(app, ada, ids=(str(run_id),)) == {run_id}
    assert found(app, ada, parents=(str(cast["ready"]),)) == {cast["running"]}


def test_a_head_that_several_have_is_ambiguous_and_names_them(app: App, ada: Operator, cast: dict[str, UUID]) -> None:
    with pytest.raises(Ambiguous) as caught:
        found(app, ada, ids=(str(cast["ready"])[:8],))

    assert len(caught.value.matches) >= 2
    with pytest.raises(NotFound):
        found(app, ada, ids=("ffffffff",))


def test_a_wrong_word_names_the_nearest(app: App) -> None:
    with pytest.raises(SelectorRefused, match="Did you mean 'dead'"):
        make_selector(app, SelectorInput(states=("ded",)))
    with pytest.raises(SelectorRefused, match=r"column 14: no cause 'poisson'\. Did you mean 'poison'"):
        make_selector(app, SelectorInput(where="kind:x cause:poisson"))
    with pytest.raises(SelectorRefused, match="not a moment"):
        make_selector(app, SelectorInput(since="yesterday"))


def test_pages_hold_every_run_once_latest_first(app: App, ada: Operator, book: Book) -> None:
    for number in range(25):
        book.step(0.001)
        state = (RunState.SUCCEEDED, RunState.DEAD, RunState.QUEUED)[number % 3]
        book.bring(state, queue=f"q{number % 4}")
    seen, cursor = [], None
    while True:
        page = list_runs(app, ada, Selector(), limit=7, cursor=cursor)
        seen += page.runs
        cursor = page.next_cursor
        if cursor is None:
            break

    assert len({run.id for run in seen}) == len(seen) == 25
    assert [run.state_at for run in seen] == sorted((run.state_at for run in seen), reverse=True)


def fill(app: App, count: int) -> None:
    from benchmarks.kit.fill import fill_ledger

    fill_ledger(app.database, count)


QUERIES: dict[str, Callable[[UUID], Selector]] = {
    "everything": lambda run_id: Selector(),
    "dead": lambda run_id: Selector(states=("dead",)),
    "succeeded": lambda run_id: Selector(states=("succeeded",)),
    "queued": lambda run_id: Selector(states=("queued",)),
    "running": lambda run_id: Selector(states=("running",)),
    "kind": lambda run_id: Selector(kinds=("Rare",)),
    "queue": lambda run_id: Selector(queues=("rare",)),
    "cause": lambda run_id: Selector(causes=("poison",)),
    "key": lambda run_id: Selector(keys=("key-17",)),
    "fingerprint": lambda run_id: Selector(fingerprints=("00000000000a",)),
    "parent": lambda run_id: Selector(parents=(run_id,)),
    "held": lambda run_id: Selector(held=("stripe",)),
    "id": lambda run_id: Selector(ids=(run_id,)),
}


@pytest.mark.slow
def test_no_list_scans_the_ledger(app: App, ada: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime, timedelta

    from jobs.ledger.queries import find

    fill(app, 20_000)
    with app.database.read() as connection:
        run_id = connection.scalar(text("select id from job_runs where state = 'dead' limit 1"))
    run_id = run_id if isinstance(run_id, UUID) else UUID(str(run_id))
    plans: list[tuple[str, str]] = []
    name = ""

    def listen(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if "job_runs" in statement and statement.lstrip().upper().startswith("SELECT"):
            word = "EXPLAIN QUERY PLAN " if conn.dialect.name == "sqlite" else "EXPLAIN "
            other = conn.connection.driver_connection.cursor()
            other.execute(word + statement, parameters)
            plans.append((name, "\n".join(str(row) for row in other.fetchall())))

    from sqlalchemy import event

    event.listen(app.database.engine, "before_cursor_execute", listen)
    try:
        for word, make in QUERIES.items():
            name = word
            for selector in (make(run_id), replace(make(run_id), since=datetime.now(UTC) - timedelta(minutes=5))):
                list_runs(app, ada, selector)
        name = "short id"
        with app.database.read() as connection:
            find.resolve_id(connection, str(run_id)[-8:])
    finally:
        event.remove(app.database.engine, "before_cursor_execute", listen)

    bad = ("Seq Scan on job_runs", "SCAN job_runs'", "SCAN job_runs USING INDEX ix_job_runs_e")
    scans = [(which, plan) for which, plan in plans if any(word in plan for word in bad)]
    assert len(plans) > len(QUERIES)
    assert not scans, scans[0]
