"""Stored values that no run refers to any more are deleted, and no others, whatever dies on the way."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select

import jobs
from jobs.app import App
from jobs.database.models import JobBlob, JobBlobRef
from jobs.ledger.blobs import collect
from jobs.ledger.blobs.references import hold_pairs
from jobs.ledger.runs.purge import erase
from jobs.runtime import fault_points
from jobs.states import RunState
from jobs.storage.collector import collect_values
from jobs.testing import Ledger
from tests.jobs.storage.stored_jobs import BIG, DAY, Scan, Words, replay, rows, seen


def test_an_enqueue_that_is_rolled_back_leaves_a_value_that_is_collected_after_a_day(ledger: Ledger) -> None:
    app = ledger.app
    with app.database.session() as session, jobs.transaction(session):
        Words(text=jobs.Stored("gone")).enqueue()
        session.rollback()
    assert ledger.runs() == []
    assert collect_values(app).deleted == 0

    ledger.advance(DAY)
    collect_values(app)

    assert rows(app) == (0, 0, 0)


def test_a_value_that_was_collected_cannot_be_enqueued_again(ledger: Ledger) -> None:
    text = jobs.Stored("kept for a day").upload()
    ledger.advance(DAY)
    collect_values(ledger.app)

    with pytest.raises(jobs.StoredMissing, match="Make it again from its source"):
        Words(text=text).enqueue()
    with pytest.raises(jobs.StoredMissing):
        jobs.enqueue_many([Words(text=jobs.Stored("fine")), Words(text=text)])
    with pytest.raises(jobs.StoredMissing):
        Words(text=jobs.Stored("fine")).enqueue(on_success=[Words(text=text)])
    assert ledger.runs() == []


def test_erasing_a_run_deletes_the_values_that_no_other_run_has(ledger: Ledger) -> None:
    app = ledger.app
    run = Scan(document=BIG).enqueue(on_dead=[Words(text=jobs.Stored("later"))])  # type: ignore[arg-type]
    ledger.drain()
    replay(app, run.id, "succeeded")
    with app.database.write() as connection:
        erase(connection, [run.id])
    collect_values(app)
    assert rows(app) == (1, 4, 1)

    ledger.drain()

    assert len(seen) == 2


class Killed(BaseException):
    pass


@pytest.mark.parametrize("point", fault_points.STORED_POINTS)
def test_a_death_at_any_point_leaves_no_run_without_its_value_and_nothing_for_ever(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    app = ledger.app
    kept = Scan(document=jobs.Stored(BIG)).enqueue()

    def die(at: str) -> None:
        if at == point:
            raise Killed

    monkeypatch.setattr(fault_points, "on_reached", die)
    try:
        gone = Scan(document=jobs.Stored(BIG)).enqueue()
        with app.database.write() as connection:
            connection.execute(delete(JobBlobRef).where(JobBlobRef.run_id == gone.id))
        ledger.advance(DAY)
        collect_values(app)
    except Killed:
        pass
    else:
        pytest.fail(f"{point} was not reached")
    monkeypatch.setattr(fault_points, "on_reached", None)
    ledger.advance(DAY)

    while collect_values(app).has_more:
        pass

    assert rows(app) == (1, 4, 1)
    assert ledger.perform(kept.id).run.state is RunState.SUCCEEDED


def test_the_collector_waits_for_a_reference_that_is_being_added_and_refuses_one_that_comes_later(
    pg_database: str,
) -> None:
    with Ledger(pg_database, lock_timeout="20s") as ledger:
        app = ledger.app
        blobs = [jobs.Stored(f"value {n}").upload().reference for n in range(2)]
        held, late = (one.id for one in blobs if one is not None)
        ledger.advance(DAY)
        owner = Words(text=jobs.Stored("owner")).enqueue().id
        found: list[Any] = []

        with app.database.write() as adding:
            hold_pairs(adding, [(owner, held)])
            with app.database.write() as collecting:
                assert collect.remove_unused(collecting) == 1  # Only the other one: this one is locked.
                waiting = threading.Thread(target=lambda: found.append(refused(app, owner, late)))
                waiting.start()
            waiting.join(60)

        assert [type(one) for one in found] == [jobs.StoredMissing]
        collect_values(app)
        with app.database.read() as connection:
            assert held in set(connection.scalars(select(JobBlob.id)))


def refused(app: App, run_id: UUID, blob_id: UUID) -> BaseException | None:
    try:
        with app.database.write() as connection:
            hold_pairs(connection, [(run_id, blob_id)])
    except jobs.StoredMissing as error:
        return error
    return None
