"""Before a partition of history is dropped, runs in it that are kept for longer by now move to another one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.app import App
from jobs.ledger.operators.queue_retention import set_retention
from jobs.operations.control.history import history_status
from jobs.states import RunState
from jobs.upkeep import history
from jobs.upkeep.history import Mover
from tests.book import Book
from tests.jobs.upkeep.history.moved import ROOT, enable


@pytest.fixture
def app(pg_database: str, make_app: Callable[..., App]) -> App:
    made = make_app(pg_database, retain_succeeded="60d")
    enable(made, period="day")
    return made


@pytest.fixture
def old(app: App) -> Book:
    return Book(app.database, now=datetime.now(UTC) - timedelta(days=20))


def set_for(app: App, queue: str, kept: timedelta | None) -> None:
    with app.database.write() as connection:
        set_retention(connection, queue, {RunState.SUCCEEDED: kept})


def kept_ids(app: App, of: str = "id, keep from job_history") -> dict[UUID, str]:
    with app.database.read() as connection:
        return dict(tuple(row) for row in connection.execute(text(f"select {of}")))


def test_a_queue_with_a_time_of_its_own_has_partitions_of_its_own(app, old):
    set_for(app, "law", None)
    set_for(app, "logs", timedelta(days=3))
    law, logs, other = (old.bring(RunState.SUCCEEDED, queue=queue)[0] for queue in ("law", "logs", "other"))

    Mover(app).turn()

    assert kept_ids(app) == {law: "keep_never", logs: "keep_259200", other: "succeeded"}
    drops = {one.rule: one.drops_at for one in history_status(app, ROOT).partitions if one.begin <= old.now < one.end}
    assert drops["keep_never"] is None
    Mover(app).turn()
    assert set(kept_ids(app)) == {law, other}


def test_runs_that_are_kept_for_longer_by_now_outlive_their_partition(app, old, make_app, pg_database, monkeypatch):
    law, year, other, over = (
        old.bring(RunState.SUCCEEDED, queue=queue)[0] for queue in ("law", "year", "other", "over")
    )
    Mover(app).turn()
    assert set(kept_ids(app).values()) == {"succeeded"}
    set_for(app, "law", None)
    set_for(app, "year", timedelta(days=365))
    set_for(app, "over", timedelta(days=10))
    shorter = make_app(pg_database, retain_succeeded="7d")

    # No time to move them: nothing is dropped yet.
    monkeypatch.setattr(history, "TURN_SECONDS", -1.0)
    Mover(shorter).turn()
    assert set(kept_ids(app)) == {law, year, other, over}
    monkeypatch.setattr(history, "TURN_SECONDS", 60.0)
    Mover(shorter).turn()

    assert kept_ids(app) == {law: "keep_never", year: "keep_31536000"}
    assert kept_ids(app, "run_id, keep from job_attempts_history") == kept_ids(app)
    with app.database.read() as connection:
        places = connection.scalars(text("select distinct tableoid::regclass::text from job_history")).all()
    assert {place.rpartition("_")[0] for place in places} == {
        "job_history_keep_never",
        "job_history_keep_31536000",
    }
    assert old.run(law).state is RunState.SUCCEEDED
