"""What a middleware or dramatiq itself does to a message or a consumer loses no run."""

from __future__ import annotations

import threading
from typing import Any

import dramatiq
from dramatiq.middleware import SkipMessage

import jobs
from jobs.states import Outcome
from tests.waiting import wait_until
from tests.worker.traps.stage import SOON, STAGE, Note, all_succeeded, attempts
from worker.exchange.fetcher import Fetcher


def test_a_message_that_a_middleware_skips_is_released_uncharged(app, start):
    skipped: list[str] = []

    class SkipOnce(dramatiq.Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            if message.message_id not in skipped:
                skipped.append(message.message_id)
                raise SkipMessage

    run_id = Note(n=1).enqueue().id
    start(before=lambda process: process._broker.add_middleware(SkipOnce()))

    assert all_succeeded(app, 1)
    run = jobs.find(run_id)
    assert skipped == [str(run_id)]
    assert STAGE.began == [1]
    assert (run.attempt, run.charged) == (1, 0)
    assert [one.outcome for one in attempts(app, run_id)] == [Outcome.SUCCEEDED]


def test_a_consumer_that_dramatiq_restarts_drops_nothing(app, start, monkeypatch):
    broken = threading.Event()
    wait_for_end = Fetcher.wait_for_end

    def break_once(fetcher: Fetcher, seconds: float) -> None:
        # While a run is performed whose thread dramatiq would have given back to this consumer.
        if not broken.is_set() and wait_until(lambda: bool(STAGE.began), seconds=SOON):
            broken.set()
            raise dramatiq.errors.ConnectionFailed("the consumer breaks")
        wait_for_end(fetcher, seconds)

    monkeypatch.setattr(Fetcher, "wait_for_end", break_once)
    start()
    jobs.enqueue_many([Note(n=n) for n in range(100)])

    assert all_succeeded(app, 100)
    assert wait_until(broken.is_set, seconds=SOON)
    assert sorted(STAGE.began) == list(range(100))
