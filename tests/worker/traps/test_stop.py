"""A stop of a worker process: it finishes or gives back what it has, and leaves no thread behind."""

from __future__ import annotations

import threading
import time
from typing import Any

import dramatiq

import jobs
from jobs.ledger.queries import find
from jobs.states import Outcome, RunState
from tests.waiting import wait_until
from tests.worker.traps.stage import SOON, STAGE, Hold, Note, all_succeeded, attempts, counts, names_of
from worker.process import process as process_module


def test_a_stop_claims_nothing_more_and_finishes_what_is_performed(app, start):
    process = start()
    Hold(n=0).enqueue()
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)

    stopping = threading.Thread(target=process.stop, args=(20,))
    stopping.start()
    assert wait_until(process.stopping.is_set, seconds=SOON)
    jobs.enqueue_many([Note(n=n) for n in range(1, 50)])
    assert not wait_until(lambda: len(STAGE.began) > 1, seconds=0.7)
    STAGE.gate.set()
    stopping.join(SOON)

    assert not stopping.is_alive()
    assert STAGE.began == [0]
    assert counts(app) == {RunState.SUCCEEDED: 1, RunState.QUEUED: 49}
    with app.database.read() as connection:
        assert {one.attempt for one in find.list_runs(connection, states=[RunState.QUEUED])} == {0}


def test_a_claim_that_outlives_the_stop_is_given_back(app, start, monkeypatch):
    monkeypatch.setattr(process_module, "CLAIM_SECONDS", 0.2)
    process = start()
    claiming, slow = threading.Event(), process._fetcher._source.claim

    def claim(count, **how):
        found = slow(count, **how)
        if found and STAGE.began:
            claiming.set()
            process.stopping.wait(SOON)
            time.sleep(0.4)  # Longer than the stop waits at first.
        return found

    monkeypatch.setattr(process._fetcher._source, "claim", claim)
    # The call that went on before claims it.
    Hold(n=0).enqueue()
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)
    stopping = threading.Thread(target=process.stop, args=(20,))
    jobs.enqueue_many([Note(n=n) for n in range(1, 4)])
    assert claiming.wait(SOON)
    stopping.start()
    assert wait_until(lambda: not process._fetcher.is_alive(), seconds=SOON)
    STAGE.gate.set()
    stopping.join(SOON)

    assert STAGE.began == [0]
    assert counts(app) == {RunState.SUCCEEDED: 1, RunState.QUEUED: 3}


def test_a_stopped_process_leaves_no_thread_behind(app, start):
    before = set(threading.enumerate())
    process = start()
    jobs.enqueue_many([Note(n=n) for n in range(20)])
    assert all_succeeded(app, 20)

    process.stop(60)

    assert wait_until(lambda: not names_of(set(threading.enumerate()) - before), seconds=SOON)


def test_a_stop_leaves_behind_only_the_thread_that_hangs(app, start):
    before = set(threading.enumerate())
    process = start()
    Hold(n=0).enqueue()
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)

    process.stop(0)

    # One that has done its work may still be there for a moment.
    assert wait_until(lambda: len(set(threading.enumerate()) - before) == 1, seconds=SOON)
    assert not wait_until(lambda: len(set(threading.enumerate()) - before) == 0, seconds=0.2)


def test_a_middleware_hears_of_the_stop(app, start):
    heard: list[str] = []

    class Hears(dramatiq.Middleware):
        def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
            heard.append("after_worker_shutdown")

    process = start(before=lambda process: process._broker.add_middleware(Hears()))

    process.stop(5)

    assert heard == ["after_worker_shutdown"]


def test_runs_performed_after_the_shutdown_limit_are_released_uncharged(app, start):
    process = start()
    run_id = Hold().enqueue().id
    assert wait_until(lambda: STAGE.began == [0], seconds=SOON)

    process.stop(0.2)

    run = jobs.find(run_id)
    assert (run.state, run.charged, run.attempt) == (RunState.QUEUED, 0, 1)
    assert [one.outcome for one in attempts(app, run_id)] == [Outcome.RELEASED]
