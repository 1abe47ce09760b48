"""What every source of claims promises, with a ready index and without. A test module gives it ``app`` and ``source``.

The source serves the queues ``first`` and ``second``, in this order, and knows the kind ``Known``.
"""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

import jobs
from jobs import enqueue_many
from jobs.client.job import Job
from jobs.operations.audit.operator import Operator
from jobs.operations.control.pause import pause, resume
from tests.waiting import wait_until


class Known(Job, queue="first"):
    def perform(self) -> None:
        pass


class Stranger(Job, queue="first"):
    def perform(self) -> None:
        pass


QUEUES, KINDS = ["first", "second"], ["Known"]
SOON = 60.0


def claim_all(source, count, *, at_once=100, seconds=SOON):
    """The ids of claims in their order, until there are ``count`` or time is over."""
    ids: list[UUID] = []
    until = time.monotonic() + seconds
    while len(ids) < count and time.monotonic() < until:
        ids += [one.run_id for one in source.claim(min(at_once, count - len(ids)), wait_seconds=0.2)]
    return ids


class SourceContract:
    def test_what_is_enqueued_is_claimed_once(self, source):
        ids = [one.id for one in enqueue_many([Known() for _ in range(50)])]

        assert sorted(claim_all(source, 50)) == sorted(ids)
        assert source.claim(10, wait_seconds=0.2) == []

    def test_no_more_are_claimed_than_asked_for(self, source):
        enqueue_many([Known() for _ in range(10)])

        assert wait_until(lambda: 0 < len(source.claim(4, wait_seconds=0.2)) <= 4, seconds=SOON)

    def test_the_queues_are_served_in_their_order_and_within_one_by_priority(self, source):
        second = Known().enqueue(queue="second", priority=-5).id
        last = Known().enqueue(priority=7).id
        head = Known().enqueue(priority=-7).id

        assert claim_all(source, 3, at_once=1) == [head, last, second]

    def test_a_run_for_later_is_claimed_when_it_is_due_and_not_before(self, source):
        began = time.monotonic()
        later = Known().enqueue(delay=timedelta(seconds=0.6)).id

        assert claim_all(source, 1) == [later]
        assert time.monotonic() - began >= 0.6

    def test_a_waiting_claim_gets_a_run_that_is_enqueued_meanwhile(self, source):
        assert source.claim(1, wait_seconds=0.2) == []
        enqueued = Known().enqueue().id

        assert claim_all(source, 1) == [enqueued]

    def test_a_kind_that_is_not_known_here_waits_for_others(self, source):
        stranger, known = Stranger().enqueue().id, Known().enqueue().id

        assert claim_all(source, 1) == [known]
        assert source.claim(5, wait_seconds=0.2) == []
        assert jobs.find(stranger).state is jobs.RunState.QUEUED

    def test_a_paused_queue_keeps_its_runs_until_it_goes_on(self, app, source):
        me = Operator("tester")
        pause(app, me, "queue", "first", reason="a test", is_new=True)
        held, other = Known().enqueue().id, Known().enqueue(queue="second").id

        assert claim_all(source, 2, seconds=1) == [other]
        resume(app, me, "queue", "first", reason="a test")

        assert claim_all(source, 1, seconds=SOON) == [held]

    def test_a_run_that_was_cancelled_is_not_claimed(self, source):
        gone, there = Known().enqueue().id, Known().enqueue().id
        jobs.cancel(gone)

        assert claim_all(source, 2, seconds=1) == [there]
