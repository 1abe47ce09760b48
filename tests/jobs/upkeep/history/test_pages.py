"""Pages of lists over the hot tables and history, compared with a plain list of random runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from jobs.app import App
from jobs.clock import new_run_id
from jobs.database.models import JobRun
from jobs.ledger.history_rows import bring_back
from jobs.ledger.queries import find
from jobs.ledger.queries.pagination import RunCount, count_up_to, newest, place_of
from jobs.ledger.queries.selectors import Selector
from jobs.operations.runs.inspect import find_run, list_runs
from jobs.upkeep.history import Mover
from tests.jobs.upkeep.history.moved import COLD, HOT, ROOT, enable, execute

Row = dict[str, Any]
NOW = datetime.now(UTC)
PARENT = new_run_id()
LONG_AGO, LATER = NOW - timedelta(days=30), NOW - timedelta(days=9)
CHOSEN: dict[str, tuple[Selector, Callable[[Row], bool]]] = {
    "all": (Selector(), lambda one: True),
    "a state": (Selector(states=("dead",)), lambda one: one["state"] == "dead"),
    "two states": (Selector(states=("cancelled", "queued")), lambda one: one["state"] in ("cancelled", "queued")),
    "a kind": (Selector(kinds=("Mail",)), lambda one: one["kind"] == "Mail"),
    "a pattern": (Selector(kinds=("M*",), queues=("a",)), lambda one: one["kind"][0] == "M" and one["queue"] == "a"),
    "a rare kind": (Selector(kinds=("Rare",)), lambda one: one["kind"] == "Rare"),
    "nobody": (Selector(kinds=("Nobody",)), lambda one: False),
    "a cause": (Selector(causes=("poison",)), lambda one: one["cause"] == "poison"),
    "a key": (Selector(keys=("k1", "k2")), lambda one: one["key"] in ("k1", "k2")),
    "keys": (Selector(keys=("k*",)), lambda one: one["key"] is not None),
    "a tag": (Selector(tags=("red",), states=("succeeded",)), lambda one: one["tags"] and one["state"] == "succeeded"),
    "an error": (Selector(errors=("boom",)), lambda one: one["error_message"] is not None),
    "a fingerprint": (Selector(fingerprints=("ab",)), lambda one: (one["fingerprint"] or "").startswith("ab")),
    "an argument": (Selector(arguments=(("n", "3"),)), lambda one: one["arguments"] == '{"n": 3}'),
    "children": (Selector(parents=(PARENT,)), lambda one: one["parent_id"] == PARENT),
    "a time": (Selector(since=LONG_AGO, until=LATER), lambda one: LONG_AGO <= one["state_at"] <= LATER),
    "late": (Selector(since=LATER, kinds=("M*",)), lambda one: one["state_at"] >= LATER and one["kind"][0] == "M"),
    "purged": (Selector(purged=True), lambda one: one["deleted_at"] is not None),
}  # fmt: skip


@pytest.fixture
def app(pg_database: str, make_app: Callable[..., App]) -> App:
    return make_app(pg_database, retain_succeeded="never", retain_cancelled="never", retain_dead="never")


def some_run(rng: random.Random, number: int) -> Row:
    """A run of any state. Many entered it at the same moment; some in this minute, which stay in the hot table."""
    state = rng.choice(["queued", "succeeded", "succeeded", "succeeded", "dead", "cancelled"])
    ago = rng.choice([timedelta(seconds=5), timedelta(hours=1), *(timedelta(days=rng.randrange(40)) for _ in range(6))])
    at, is_final, is_dead = NOW - ago, state != "queued", state == "dead"
    return {
        "id": new_run_id(), "kind": rng.choice(["Mail", "Mail", "Map", "Other"]) if number else "Rare",
        "queue": rng.choice("ab"), "priority": 0, "arguments": f'{{"n": {rng.randrange(9)}}}', "state": state,
        "cause": rng.choice(["exhausted", "poison"]) if is_dead else None, "attempt": 1, "charged": 1,
        "max_attempts": 3, "run_at": at, "created_at": at, "state_at": at, "finished_at": at if is_final else None,
        "key": rng.choice(["k1", "k2", "k3"]) if is_final and rng.random() < 0.2 else None,
        "tags": '["red"]' if rng.random() < 0.2 else None, "error_type": "ValueError" if is_dead else None,
        "error_message": "boom" if is_dead else None, "parent_id": PARENT if rng.random() < 0.1 else None,
        "fingerprint": rng.choice(["ab01", "ab02", "cd03"]) if is_dead else None,
        "deleted_at": at if is_final and rng.random() < 0.05 else None,
        "has_followups": is_final and rng.random() < 0.1,
    }  # fmt: skip


def test_pages_of_both_places_are_those_of_a_plain_list(app: App) -> None:
    rng = random.Random(1)
    rows = [some_run(rng, number) for number in range(200)]
    with app.database.write() as connection:
        connection.execute(insert(JobRun), rows)
    enable(app, period="week")
    while Mover(app).turn():
        pass
    moved = execute(app, COLD)
    with app.database.write() as connection:
        bring_back(connection, rng.sample(moved, 15))  # Old ones beside the latest.
    assert min(len(execute(app, COLD)), len(execute(app, HOT))) > 50

    wrong = {}
    with app.database.read_both() as connection:
        for name, (chosen, is_meant) in CHOSEN.items():
            meant = [one for one in rows if is_meant(one) and (one["deleted_at"] is not None) == chosen.purged]
            whole = sorted([(one["state_at"], one["id"]) for one in meant], reverse=True)
            limit, paged = rng.choice([3, 10, 50]), []
            while some := newest(connection, chosen, after=paged[-1] if paged else None, limit=limit):
                paged += map(place_of, some)
            most = rng.choice([2, len(whole), 1000])
            counted = count_up_to(connection, chosen, most=most)
            if paged != whole or counted != RunCount(min(most, len(whole)), len(whole) > most):
                wrong[name] = (limit, paged, whole, counted)
        found = {one["id"]: find.find_run(connection, one["id"]) for one in rows[:40]}
    assert wrong == {}
    assert {run_id: run and run.state_at for run_id, run in found.items()} == {
        one["id"]: one["state_at"] for one in rows[:40]
    }


def test_a_page_that_the_hot_table_fills_with_recent_runs_reads_no_history(app: App) -> None:
    rows = [some_run(random.Random(number), number) for number in range(40)]
    with app.database.write() as connection:
        connection.execute(insert(JobRun), [{**one, "deleted_at": None} for one in rows])
    enable(app, period="week")
    Mover(app).turn()
    with app.database.write() as connection:
        connection.execute(insert(JobRun), [{**one, "id": new_run_id(), "deleted_at": None} for one in rows])
        connection.exec_driver_sql(
            "update job_runs set state_at = now(), finished_at = case when state <> 'queued' then now() end"
        )
    with app.database.read():
        pass  # Now it knows that there is history.
    asked: list[str] = []
    event.listen(app.database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    first = list_runs(app, ROOT, Selector(), limit=20)
    of_first = len(asked)
    list_runs(app, ROOT, Selector(), limit=50, cursor=first.next_cursor)

    assert len(first.runs) == 20
    assert asked[:of_first]
    assert not [one for one in asked[:of_first] if "job_history" in one or "_all" in one]
    assert [one for one in asked[of_first:] if "job_history" in one]


def test_a_run_that_comes_back_while_it_is_looked_for_is_found(app: App) -> None:
    row = {**some_run(random.Random(1), 1), "state": "dead", "cause": "poison", "finished_at": NOW - timedelta(days=9)}
    row |= {"state_at": row["finished_at"], "deleted_at": None, "has_followups": False}
    with app.database.write() as connection:
        connection.execute(insert(JobRun), [row])
    enable(app, period="week")
    with app.database.read():
        pass  # Now it knows that there is history.

    came_back: list[int] = []

    def comes_back(*given: Any) -> None:
        # Another connection, after the hot table was read and before history is.
        if "FROM job_history" in given[2] and not came_back:
            came_back.append(1)
            with app.database.write() as other:
                bring_back(other, [row["id"]])

    found = []
    for look in (
        lambda: list_runs(app, ROOT, Selector()).runs,
        lambda: list_runs(app, ROOT, Selector(states=("dead",), kinds=("*",))).runs,
        lambda: [find_run(app, ROOT, str(row["id"]))[0]],
    ):
        Mover(app).turn()
        assert execute(app, COLD) == [row["id"]]
        came_back.clear()
        event.listen(app.database.engine, "before_cursor_execute", comes_back)
        try:
            found.append([one.id for one in look()])
        finally:
            event.remove(app.database.engine, "before_cursor_execute", comes_back)
        assert execute(app, HOT) == [row["id"]]
    assert found == [[row["id"]]] * 3
