"""One of many processes prunes, a batch at a time, what the settings say; references to what is gone stay sane."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from jobs import RunState
from jobs.app import App
from jobs.definition.published import PublishedKind
from jobs.events import RunsSwept
from jobs.ledger.operators.queue_retention import set_retention
from jobs.ledger.published_kinds import publish_kinds
from jobs.ledger.queries import find, reports
from jobs.upkeep import prune as pruning
from jobs.upkeep.prune import Pruner
from tests.book import Book


@pytest.fixture
def old_book(app: App) -> Book:
    """A book whose now is so long ago that what ends in it is old."""
    return Book(app.database, now=datetime.now(UTC) - timedelta(days=365))


def swept(app: App) -> list[RunsSwept]:
    seen: list[RunsSwept] = []
    app.events.subscribe(RunsSwept, seen.extend)
    return seen


def test_by_default_succeeded_and_cancelled_runs_go_and_dead_ones_stay(app: App, old_book: Book) -> None:
    seen = swept(app)
    for state in RunState:
        old_book.bring(state, queue=state.value)

    assert Pruner(app).turn() is False

    with app.database.read() as connection:
        assert set(reports.count_by_state(connection)) == {RunState.QUEUED, RunState.RUNNING, RunState.DEAD}
    assert [(one.duty, one.runs) for one in seen] == [("prune", 1), ("prune", 1)]


@pytest.mark.parametrize("state", ["succeeded", "cancelled", "dead"])
def test_each_state_is_kept_for_its_retention_time(ledger_url: str, make_app: Callable[..., App], state: str) -> None:
    never = {f"retain_{one}": "never" for one in ("succeeded", "cancelled", "dead") if one != state}
    app = make_app(ledger_url, **never, **{f"retain_{state}": "10d"})
    for days in (11, 9):
        book = Book(app.database, now=datetime.now(UTC) - timedelta(days=days))
        for each in ("succeeded", "cancelled", "dead"):
            book.bring(RunState(each), queue=each)

    Pruner(app).turn()

    with app.database.read() as connection:
        counts = reports.count_by_state(connection)
    assert counts.pop(RunState(state)) == 1
    assert set(counts.values()) == {2}


def test_a_kind_with_a_time_of_its_own_is_kept_for_that(app: App) -> None:
    with app.database.write() as connection:
        kept = {"Kept": 30 * 86400.0, "Brief": 3600.0}
        publish_kinds(
            connection,
            [PublishedKind(kind, "default", 0, 3, 1, False, 0.0, None, 1000, time) for kind, time in kept.items()],
        )
    book = Book(app.database, now=datetime.now(UTC) - timedelta(days=20))
    made = {
        (kind, state): book.bring(state)[0]
        for kind in ("Kept", "Brief", "Mail")
        for state in (RunState.SUCCEEDED, RunState.DEAD)
    }
    for (kind, _), run_id in made.items():
        book.change(run_id, kind=kind)

    Pruner(app).turn()

    with app.database.read() as connection:
        left = {one.id for one in find.list_runs(connection)}
    assert {name for name, run_id in made.items() if run_id in left} == {
        ("Kept", RunState.SUCCEEDED),
        ("Kept", RunState.DEAD),
        ("Mail", RunState.DEAD),
    }


def test_what_an_operator_set_for_a_queue_wins_over_the_class_and_the_settings(app: App) -> None:
    with app.database.write() as connection:
        publish_kinds(
            connection, [PublishedKind("Brief", "default", 0, 3, 1, False, 0.0, None, 1000, retain_seconds=3600.0)]
        )
        set_retention(connection, "law", {RunState.SUCCEEDED: None, RunState.DEAD: timedelta(days=10)})
        set_retention(connection, "logs", {RunState.DEAD: timedelta(days=30)})
    made = {}
    for queue in ("law", "logs", "other"):
        book = Book(app.database, now=datetime.now(UTC) - timedelta(days=20))
        for kind in ("Brief", "Mail"):
            for state in (RunState.SUCCEEDED, RunState.DEAD):
                run_id = book.bring(state, queue=queue)[0]
                book.change(run_id, kind=kind)
                made[queue, kind, state.value] = run_id

    Pruner(app).turn()

    with app.database.read() as connection:
        left = {one.id for one in find.list_runs(connection)}
    assert {name for name, run_id in made.items() if run_id in left} == {
        ("law", "Brief", "succeeded"),
        ("law", "Mail", "succeeded"),
        ("logs", "Brief", "dead"),
        ("logs", "Mail", "dead"),
        ("other", "Mail", "dead"),
    }


def test_only_one_of_two_processes_prunes_while_it_lives(app: App, old_book: Book) -> None:
    seen = swept(app)
    first, second = Pruner(app), Pruner(app)
    first.turn()
    old_book.bring(RunState.SUCCEEDED)

    assert second.turn() is False

    assert seen == []


def test_a_prune_ends_in_time_and_the_next_continues(app: App, old_book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "TURN_SECONDS", -1.0)
    for _ in range(3):
        old_book.bring(RunState.SUCCEEDED)
    seen = swept(app)
    pruner = Pruner(app)

    assert pruner.turn() is True
    assert pruner.turn() is False

    assert sum(one.runs for one in seen) == 3
