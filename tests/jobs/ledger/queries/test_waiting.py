"""What the ready index should know, read from the ledger; on both dialects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.clock import new_run_id
from jobs.ledger.admission.insert import insert_runs
from jobs.ledger.queries.waiting import overdue, soon_due, unclaimed, waiting
from jobs.ledger.records import NewRun
from jobs.ledger.runs.claim import claim

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def session(database):
    with database.write() as connection:
        yield connection


def put(session, *, queue="mail", priority=0, due=timedelta(0), kind="Send"):
    run = NewRun(
        id=new_run_id(), kind=kind, queue=queue, priority=priority, arguments="{}", max_attempts=3, run_at=NOW + due
    )
    insert_runs(session, [run], now=NOW)
    return run.id


def test_overdue_runs_come_from_every_queue_and_priority(session):
    late = [put(session, queue=queue, priority=priority, due=-9 * SECOND) for queue in "ab" for priority in (-5, 0, 5)]
    put(session, queue="a", due=-SECOND)
    put(session, queue="c", due=9 * SECOND)

    found = overdue(session, after=5 * SECOND, limit=10, now=NOW)

    assert sorted(one.run_id for one in found) == sorted(late)
    assert {(one.queue, one.priority) for one in found} == {(queue, number) for queue in "ab" for number in (-5, 0, 5)}


def test_overdue_runs_are_limited(session):
    for _ in range(5):
        put(session, due=-9 * SECOND)

    assert len(overdue(session, after=5 * SECOND, limit=2, now=NOW)) == 2


def test_runs_that_are_due_soon_are_those_that_are_not_due_yet(session):
    put(session, due=-SECOND)
    soon = [put(session, queue=queue, due=9 * SECOND) for queue in "ab"]
    put(session, queue="a", due=11 * SECOND)

    found = soon_due(session, within=10 * SECOND, limit=10, now=NOW)

    assert sorted(one.run_id for one in found) == sorted(soon)


def test_an_empty_ledger_has_nothing_overdue_or_waiting(session):
    assert overdue(session, after=5 * SECOND, limit=2, now=NOW) == []
    assert waiting(session, after=None, limit=2) == []


def test_every_waiting_run_is_read_once_whatever_the_page(session):
    ids = {
        put(session, queue=queue, priority=priority, due=due * SECOND)
        for queue in "ab"
        for priority in (0, 1)
        for due in (-9, 9)
        for _ in range(2)
    }
    claim(session, [put(session)], kinds=["Send"], worker="w", lease=SECOND, now=NOW)

    read, last = [], None
    while batch := waiting(session, after=last, limit=3):
        read += batch
        last = batch[-1]

    assert len(read) == len(ids)
    assert {one.run_id for one in read} == ids
    assert [(one.queue, one.priority, one.run_at) for one in read] == sorted(
        (one.queue, one.priority, one.run_at) for one in read
    )


def test_runs_that_a_claim_passed_over_are_reported_with_the_ledgers_moment(session):
    early, foreign, taken = put(session, due=SECOND), put(session, kind="Other"), put(session)
    claim(session, [early, foreign, taken], kinds=["Send"], worker="w", lease=SECOND, now=NOW)

    left = {one.run_id: one for one in unclaimed(session, [early, foreign, taken], now=NOW)}

    assert left.keys() == {early, foreign}
    assert left[early].run_at - left[early].now == SECOND
    assert left[foreign].kind == "Other"
