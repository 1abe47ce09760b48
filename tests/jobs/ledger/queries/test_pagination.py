"""Walk: a page of a list is what the walk in order begins with, and costs one statement."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from jobs.ledger.queries import pagination, plan_parts
from jobs.ledger.queries.pagination import RunCount, count_up_to, newest, place_of, places
from jobs.ledger.queries.selectors import Selector
from jobs.states import Cause, Outcome, RunState
from tests.book import SECOND, Book, attempt_result, new_run

SELECTORS = {
    "everything": Selector(),
    "a state": Selector(states=("dead",)),
    "parts of queued": Selector(states=("ready", "retrying")),
    "states": Selector(states=("succeeded", "dead", "queued")),
    "a kind": Selector(kinds=("Mail",)),
    "a pattern": Selector(kinds=("M*",)),
    "a pattern that all match": Selector(kinds=("*",), states=("dead",)),
    "a pattern and a queue": Selector(kinds=("?a*",), queues=("b",)),
    "a name that nobody has": Selector(kinds=("Nobody",)),
    "a cause": Selector(causes=("gave_up",), queues=("a*",)),
    "a key": Selector(keys=("key-1", "key-2")),
    "purged": Selector(purged=True),
}

ENDS = ((Outcome.SUCCEEDED, None), (Outcome.GAVE_UP, Cause.GAVE_UP), (Outcome.CANCELLED, None))


@pytest.fixture
def mixed(book: Book) -> Book:
    """Runs of each state, in two queues and three kinds; some with keys, and one purged."""
    every = [(queue, kind) for queue in ("a", "b") for kind in ("Mail", "Map", "Other")] * 2
    # In batches, because a transaction for each of the 120 moves takes longer than the test.
    ended = [new_run(queue=queue, kind=kind) for queue, kind in every for _ in ENDS]
    book.insert(ended)
    book.step(100)
    claims = book.claim(*(run.id for run in ended), kinds=["Mail", "Map", "Other"])
    book.settle_with_care(
        *(
            attempt_result(held, outcome, cause=cause, ago=len(claims) - number)
            for number, (held, (outcome, cause)) in enumerate(zip(claims, ENDS * len(every), strict=True))
        )
    )
    run_id, _ = book.bring(RunState.DEAD, queue="a", kind="Mail")
    book.change(run_id, deleted_at=book.now)
    book.insert(
        [
            new_run(queue=queue, kind=kind, key=f"key-{number}", run_at=book.now + number * SECOND)
            for number, (queue, kind) in enumerate(every)
        ]
    )
    book.step(100)
    return book


@pytest.mark.parametrize("chosen", SELECTORS.values(), ids=SELECTORS)
@pytest.mark.parametrize("terms", [pagination.TERMS, 2])
def test_pages_of_the_newest_runs_are_in_the_order_of_the_list(
    mixed: Book, chosen: Selector, terms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "TERMS", terms)
    with mixed.database.read() as connection:
        whole = list(places(connection, chosen, newest_first=True, now=mixed.now))
        paged: list[pagination.Place] = []
        while some := newest(connection, chosen, after=paged[-1] if paged else None, limit=5, now=mixed.now):
            paged += map(place_of, some)
        counted = count_up_to(connection, chosen, most=1000, now=mixed.now)
        capped = count_up_to(connection, chosen, most=3, now=mixed.now)

    assert paged == whole
    assert counted == RunCount(len(whole))
    assert capped == RunCount(min(3, len(whole)), len(whole) > 3)


def test_a_repeated_list_contains_new_runs(mixed: Book) -> None:
    with mixed.database.read() as connection:
        before = newest(connection, Selector(kinds=("M*",)), limit=1000, now=mixed.now)
    mixed.step(1)
    run_id = mixed.enqueue(queue="c", kind="Mix")

    with mixed.database.read() as connection:
        after = newest(connection, Selector(kinds=("M*",)), limit=1000, now=mixed.now)
        others = newest(connection, Selector(kinds=("O*",)), limit=1000, now=mixed.now)

    assert after[0].id == run_id
    assert after[1:] == before
    assert not {run.id for run in others} & {run.id for run in after}


def test_with_very_many_names_waiting_runs_are_read_by_one_statement(
    mixed: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [Selector(), Selector(kinds=("M*",), queues=("a",)), Selector(states=("ready",), kinds=("Mail",))]
    with mixed.database.read() as connection:
        before = [newest(connection, one, limit=1000, now=mixed.now) for one in chosen]
        monkeypatch.setattr(plan_parts, "NAMES", 0)
        assert len(plan_parts.plan_parts_of(connection, chosen[2])) == 1
        after = [newest(connection, one, limit=1000, now=mixed.now) for one in chosen]

    assert all(before)
    assert after == before


def test_a_pattern_costs_two_statements_for_names_and_one_for_runs(mixed: Book) -> None:
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    with mixed.database.read() as connection:
        event.listen(connection, "before_cursor_execute", note)
        newest(connection, Selector(kinds=("M*",)), limit=5)
        by_pattern = len(asked)
        newest(connection, Selector(), limit=5)

    assert by_pattern <= (3 if mixed.database.dialect == "postgresql" else 4)
    # The names of what waits, and the runs.
    assert len(asked) - by_pattern == 2


def test_a_full_kind_reads_only_its_own_names(mixed: Book) -> None:
    mail, all_of_m = Selector(kinds=("Mail",)), Selector(kinds=("M*",))
    with mixed.database.read() as connection:
        ended, waiting = plan_parts.ended_names(connection), plan_parts.waiting_names(connection)
        for chosen in (mail, Selector(kinds=("Mail", "Nobody"))):
            assert plan_parts.ended_names(connection, chosen) == [one for one in ended if one[2] == "Mail"]
            assert plan_parts.waiting_names(connection, chosen) == [one for one in waiting if one[0] == "Mail"]
        assert plan_parts.ended_names(connection, all_of_m) == ended
        assert {run.kind for run in newest(connection, mail, limit=1000)} == {"Mail"}
        every = newest(connection, Selector(), limit=1000)
        assert newest(connection, mail, limit=1000) == [run for run in every if run.kind == "Mail"]
        assert newest(connection, Selector(kinds=("Nobody",)), limit=1000) == []
    assert len({kind for _, _, kind in ended}) > 1
    assert any(kind == "Mail" for kind, _ in waiting)
