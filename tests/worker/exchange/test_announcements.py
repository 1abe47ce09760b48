"""Announcements: a batch that is left for later is announced once, in order, whatever comes next."""

from __future__ import annotations

from jobs import Job, enqueue_many
from jobs.events import AttemptEnded, BatchSettled
from tests.worker.conftest import wait_for
from tests.worker.one_process import started
from worker.exchange import settler
from worker.exchange.announcements import Announcements, RecordedBatch
from worker.exchange.prefetch import PrefetchLimit


class AnnouncedNote(Job, queue="announced"):
    number: int

    def perform(self) -> None:
        if self.number % 7 == 0:
            self.run.log("a run with a log is settled with care")


def test_a_batch_is_announced_before_the_next_one_and_once(app):
    told: list[float] = []
    app.events.subscribe(BatchSettled, lambda batch: told.extend(one.seconds for one in batch))
    announcements = Announcements(app, PrefetchLimit(1, app.clock))

    announcements.later(RecordedBatch(seconds=1.0))
    before = list(told)
    announcements.later(RecordedBatch(seconds=2.0))
    announcements.catch_up()
    announcements.catch_up()
    announcements.now(RecordedBatch(seconds=3.0))

    assert (before, told) == ([], [1.0, 2.0, 3.0])


def test_every_attempt_is_announced_once_while_batches_wait_for_each_other(app, monkeypatch):
    monkeypatch.setattr(settler, "MAX_BATCH", 3)
    ended: list[AttemptEnded] = []
    app.events.subscribe(AttemptEnded, ended.extend)
    runs = enqueue_many([AnnouncedNote(number=number) for number in range(40)])

    with started(app, "announced"):
        wait_for(lambda: len(ended) >= len(runs), "every attempt was announced")

    assert sorted(one.run_id for one in ended) == sorted(one.id for one in runs)
