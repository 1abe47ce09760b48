"""A batch is cancelled while one of its members adds others: none of them is left behind, whoever is first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import jobs
from jobs import Job, RunState
from jobs.ledger.batches import members
from jobs.ledger.batches.find import broken_counts
from jobs.testing import Ledger
from tests.waiting import wait_until

BLOCKED = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


class AddedPart(Job):
    def perform(self) -> None:
        pass


class AddsParts(Job):
    def perform(self) -> None:
        self.run.batch.add_many([AddedPart(), AddedPart()])


@pytest.fixture
def ledger(pg_database: str) -> Iterator[Ledger]:
    with Ledger(pg_database, lock_timeout="10s") as ledger:
        yield ledger
        with ledger.app.database.read() as connection:
            assert list(broken_counts(connection)) == []


def test_members_are_refused_once_the_batch_is_cancelled(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with jobs.batch("adds") as batch:
        run_id = batch.add(AddsParts())
    real = members.admit_members

    def cancelled_meanwhile(*given: Any, **more: Any) -> Any:
        with ledger.app.database.write() as connection:
            members.mark_cancelled(connection, [batch.id])
        return real(*given, **more)

    monkeypatch.setattr(members, "admit_members", cancelled_meanwhile)

    done = ledger.perform(run_id)

    assert isinstance(done.error, jobs.JobsError)
    assert "was cancelled" in str(done.error)
    assert ledger.runs(AddedPart) == []


def test_a_cancel_waits_for_members_that_are_being_added_and_cancels_them(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with jobs.batch("adds") as batch:
        run_id = batch.add(AddsParts())
    cancels = threading.Thread(target=lambda: jobs.find_batch(batch.id).cancel())
    real = members.apply

    def cancel_meanwhile(*given: Any, **more: Any) -> Any:
        done = real(*given, **more)
        cancels.start()
        with ledger.app.database.read() as connection:
            assert wait_until(lambda: connection.exec_driver_sql(BLOCKED).scalar(), seconds=60)
        return done

    monkeypatch.setattr(members, "apply", cancel_meanwhile)

    ledger.perform(run_id)
    cancels.join(60)

    assert {one.state for one in ledger.runs(AddedPart)} == {RunState.CANCELLED}
    assert len(ledger.runs(AddedPart)) == 2
    assert jobs.find_batch(batch.id).state == "cancelled"
