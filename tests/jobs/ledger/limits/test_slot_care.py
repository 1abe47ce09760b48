"""Slots of limits that nobody uses any more are found, reassigned and deleted."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs import Limit
from jobs.ledger.limits.admit import admit
from jobs.ledger.limits.counts import declare, lock_limits
from jobs.ledger.limits.reassign import reassign
from jobs.ledger.limits.sweep import drop_idle_keys, drop_stale_slots, parked_keys, reassign_all
from jobs.ledger.runs.claim import candidates
from jobs.ledger.runs.sweep import end_dead_attempts
from jobs.states import Outcome
from tests.book import LEASE, Book
from tests.jobs.ledger.limits.admitted import KINDS, charge, due, ids
from tests.jobs.ledger.limits.admitted import declared as declared
from tests.jobs.ledger.limits.admitted import kinds as kinds
from tests.waiting import wait_until

BLOCKED = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
UNLOCKED = "select digest from job_limits where name = 'AdmitCharge' for update skip locked"


def test_slots_and_parked_runs_that_a_fault_left_behind_are_found(book: Book) -> None:
    charge(book)
    charge(book)
    first, _ = due(book)
    parked = charge(book)
    due(book)
    # An older release ends the attempt, and knows nothing of slots.
    book.change(first.run_id, state="succeeded", token=None, lease_until=None, finished_at=book.now)

    with book.database.write() as connection:
        assert drop_stale_slots(connection, now=book.now) == 2
        keys = parked_keys(connection)
        assert [name for name, _ in keys] == ["AdmitCharge"]
        assert parked_keys(connection, name="stripe") == []
        freed = reassign(connection, keys, now=book.now)
        assert parked_keys(connection) == []

    assert [one.run_id for one in freed] == [parked]
    assert ids(due(book)) == [parked]


def test_an_unclaimed_slot_is_reassigned_after_a_while_and_paused_queues_get_none(book: Book) -> None:
    charge(book)
    charge(book)
    first, _ = due(book)
    elsewhere = charge(book, queue="other")
    book.claim(elsewhere, kinds=KINDS)
    handed = charge(book)
    next_one = charge(book)
    due(book)
    book.pause("other")
    book.end(first, Outcome.SUCCEEDED)
    assert [book.run(one).hold for one in (elsewhere, handed, next_one)] == ["parked", None, "parked"]

    book.step(6)
    with book.database.write() as connection:
        freed = reassign_all(connection, "AdmitCharge", now=book.now)

    assert [one.run_id for one in freed] == [next_one]


def test_a_limit_that_grew_says_so_when_it_is_declared(book: Book) -> None:
    with book.database.write() as connection:
        assert declare(connection, [Limit(4, name="stripe")], now=book.now) == ["stripe"]
        assert declare(connection, [Limit(4, name="stripe")], now=book.now) == []
        assert declare(connection, [Limit(3, name="stripe")], now=book.now) == []


def test_the_rows_of_keys_that_nobody_uses_are_deleted_after_a_day_and_made_again(book: Book) -> None:
    known: set[tuple[str, str]] = set()

    def dropped() -> int:
        with book.database.write() as connection:
            return drop_idle_keys(connection, now=book.now)

    def admitted(run_id: UUID) -> int:
        with book.database.write() as connection:
            given = {"worker": "w1", "lease": LEASE, "now": book.now}
            found = candidates(connection, [run_id], kinds=KINDS, **given)
            return len(admit(connection, found, known=known, **given).claims)

    first = charge(book)
    assert admitted(first) == 1
    book.step(90_000)
    assert dropped() == 0, "its slot stands"
    book.rescue()
    book.cancel(first)
    assert dropped() == 1

    assert [admitted(charge(book)) for _ in range(3)] == [1, 1, 0]
    assert len(known) == 2


def test_cleanup_after_a_dead_process_locks_the_keys_of_all_its_runs_in_their_order(book: Book) -> None:
    """As claims do. It locked those of attempts first and then those of runs that had not started: a deadlock."""
    if not book.is_postgresql:
        pytest.skip("On SQLite one process writes at a time")
    digests = {}
    for account in ("a", "b"):
        held = book.claim(charge(book, account), kinds=KINDS)[0]
        with book.database.read() as connection:
            slot = text("select digest from job_limit_slots where run_id = :run and name = 'AdmitCharge'")
            digests[connection.scalar(slot, {"run": held.run_id})] = held.token
    (early, _), (late, performed) = sorted(digests.items())

    def clean_up() -> None:
        with book.database.write() as connection:
            connection.execute(text("set local lock_timeout = '5min'"))
            end_dead_attempts(
                connection, "w1", performing=[performed], ended=[], why="signal 9", poison_after=3, now=book.now
            )

    cleaning = threading.Thread(target=clean_up)
    with book.database.write() as other:
        lock_limits(other, [("AdmitCharge", early)])
        cleaning.start()
        with book.database.read() as watcher:
            assert wait_until(lambda: watcher.scalar(text(BLOCKED)), seconds=60)
        assert late in other.scalars(text(UNLOCKED)).all()
    cleaning.join(60)

    assert not cleaning.is_alive()
