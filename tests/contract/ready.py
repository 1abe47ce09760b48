"""What every ready index promises. A test module inherits the class and gives it the fixture ``index``."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobs.clock import new_run_id
from jobs.ready import ReadyEntry, ReadyIndex
from tests.waiting import wait_until

SECOND = timedelta(seconds=1)


def now() -> datetime:
    return datetime.now(UTC)


def entry(queue: str = "mail", *, priority: int = 0, run_at: datetime | None = None) -> ReadyEntry:
    return ReadyEntry(new_run_id(), queue, priority, run_at)


def pairs(*entries: ReadyEntry) -> tuple[tuple[UUID, str], ...]:
    return tuple((one.run_id, one.queue) for one in entries)


def take_all(index: ReadyIndex, queues: list[str], count: int, *, seconds: float = 30.0) -> list[UUID]:
    """The ids of takes until there are ``count``, or time is over."""
    ids: list[UUID] = []
    deadline = time.monotonic() + seconds
    while len(ids) < count and time.monotonic() < deadline:
        ids += [run_id for run_id, _ in index.take(queues, count, wait_seconds=0.1).runs]
    return ids


class ReadyContract:
    def test_nothing_is_taken_from_an_empty_index(self, index):
        assert index.take(["mail"], 10, wait_seconds=0).runs == ()

    def test_an_added_id_is_taken_with_its_queue(self, index):
        one = entry("mail")
        index.add([one])

        assert index.take(["mail"], 10, wait_seconds=0).runs == pairs(one)

    def test_a_take_removes_what_it_returns(self, index):
        index.add([entry()])
        index.take(["mail"], 10, wait_seconds=0)

        assert index.take(["mail"], 10, wait_seconds=0).runs == ()

    def test_a_peek_shows_what_takes_would_bring_and_leaves_it_there(self, index):
        entries = [entry(queue, priority=n) for queue in ("mail", "films") for n in range(3)]
        index.add(entries)
        queues = ["mail", "films"]

        assert index.peek(queues, 9, skip=0).runs == pairs(*entries)
        assert index.peek(queues, 2, skip=2).runs == pairs(*entries[2:4])
        assert index.peek(queues, 9, skip=4).runs == pairs(*entries[4:])
        assert index.peek(queues, 9, skip=6).runs == index.peek([], 9, skip=0).runs == ()
        assert take_all(index, queues, 6) == [one.run_id for one in entries]

    def test_a_peek_shows_what_has_become_due(self, index):
        later = entry(run_at=now() + SECOND)
        index.add([later])

        assert index.peek(["mail"], 9, skip=0).runs == ()
        assert wait_until(lambda: index.peek(["mail"], 9, skip=0).runs, seconds=60) == pairs(later)
        assert index.take(["mail"], 9, wait_seconds=0).runs == pairs(later)

    def test_a_take_returns_no_more_than_asked_for(self, index):
        entries = [entry(run_at=now() - (9 - n) * SECOND) for n in range(5)]
        index.add(entries)

        assert index.take(["mail"], 2, wait_seconds=0).runs == pairs(*entries[:2])
        assert index.take(["mail"], 9, wait_seconds=0).runs == pairs(*entries[2:])

    def test_the_smaller_priority_goes_first(self, index):
        entries = [entry(priority=priority) for priority in (5, -1000, 0, 1000, -3)]
        index.add(entries)

        taken = index.take(["mail"], 10, wait_seconds=0).runs

        assert taken == pairs(*sorted(entries, key=lambda one: one.priority))

    @pytest.mark.parametrize("priority", [-1000, 0, 1000])
    def test_within_a_priority_the_earlier_moment_goes_first_to_the_millisecond(self, index, priority):
        start = now() - 3600 * SECOND
        entries = [entry(priority=priority, run_at=start + timedelta(milliseconds=n)) for n in range(50)]
        index.add(entries[::-1])

        assert index.take(["mail"], 50, wait_seconds=0).runs == pairs(*entries)

    def test_within_a_moment_the_smaller_id_goes_first(self, index):
        moment = now() - SECOND
        entries = sorted((entry(run_at=moment) for _ in range(20)), key=lambda one: one.run_id)
        index.add(entries[::-1])

        assert index.take(["mail"], 20, wait_seconds=0).runs == pairs(*entries)

    def test_queues_are_served_strictly_in_the_order_given(self, index):
        low, high = entry("low", priority=-9), entry("high", priority=9)
        index.add([low, high])

        assert index.take(["high", "low"], 10, wait_seconds=0).runs == pairs(high, low)

    def test_a_queue_not_asked_for_keeps_its_runs(self, index):
        paused = entry("paused")
        index.add([paused, entry("mail")])
        index.take(["mail"], 10, wait_seconds=0)

        assert index.take(["mail"], 10, wait_seconds=0).runs == ()
        assert index.take(["paused"], 10, wait_seconds=0).runs == pairs(paused)

    def test_with_every_queue_paused_nothing_is_taken(self, index):
        index.add([entry()])

        assert index.take([], 10, wait_seconds=0.01).runs == ()

    def test_an_id_added_twice_is_there_once(self, index):
        one = entry()
        index.add([one, one])
        index.add([one])

        assert index.take(["mail"], 10, wait_seconds=0).runs == pairs(one)

    def test_a_run_for_later_is_not_taken_now(self, index):
        index.add([entry(run_at=now() + 60 * SECOND)])

        assert index.take(["mail"], 10, wait_seconds=0.05).runs == ()

    def test_a_run_for_later_is_taken_when_it_is_due_and_not_before(self, index):
        due = now() + 0.3 * SECOND
        one = entry(run_at=due)
        index.add([one])

        assert take_all(index, ["mail"], 1) == [one.run_id]
        assert due <= now() < due + 10 * SECOND

    def test_a_run_that_fell_due_keeps_its_priority(self, index):
        due = now() + 0.2 * SECOND
        entries = [entry(priority=priority, run_at=due) for priority in (7, -7)]
        index.add(entries)
        while now() <= due + 0.01 * SECOND:
            time.sleep(0.01)

        assert index.take(["mail"], 10, wait_seconds=0).runs == pairs(*entries[::-1])

    def test_a_run_for_later_that_is_added_again_as_ready_is_there_once(self, index):
        one = entry(run_at=now() + 0.2 * SECOND)
        index.add([one])
        index.add([ReadyEntry(one.run_id, one.queue)])

        assert index.take(["mail"], 10, wait_seconds=0).runs == pairs(one)
        assert take_all(index, ["mail"], 1, seconds=0.4) == []

    def test_a_ready_run_that_is_added_again_for_later_waits(self, index):
        one = entry()
        index.add([one])
        index.add([ReadyEntry(one.run_id, one.queue, 0, now() + SECOND)])

        assert index.take(["mail"], 10, wait_seconds=0).runs == ()
        assert take_all(index, ["mail"], 1) == [one.run_id]

    def test_a_forgotten_run_is_not_taken(self, index):
        gone, kept, later = entry(), entry(), entry(run_at=now() + 0.1 * SECOND)
        index.add([gone, kept, later])
        index.forget(pairs(gone, later))

        assert take_all(index, ["mail"], 2, seconds=0.4) == [kept.run_id]

    def test_adding_or_forgetting_no_ids_changes_nothing(self, index):
        index.add([])
        index.forget([])

        assert index.take(["mail"], 10, wait_seconds=0).runs == ()

    def test_a_large_add_is_all_there(self, index):
        entries = [entry() for _ in range(2500)]
        index.add(entries)

        assert set(take_all(index, ["mail"], 2500)) == {one.run_id for one in entries}

    def test_a_naive_moment_is_refused(self, index):
        with pytest.raises(ValueError, match="time zone"):
            index.add([entry(run_at=datetime(2026, 1, 1))])

    def test_a_marked_index_is_intact(self, index):
        index.mark_intact()

        assert index.is_intact()
        assert index.take(["mail"], 1, wait_seconds=0).is_intact
