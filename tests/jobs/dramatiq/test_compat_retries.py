"""Retries as third-party middleware and applications know them, with rules that are dramatiq's own."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import CurrentMessage, Pipelines, Retries
from dramatiq.rate_limits import BucketRateLimiter, ConcurrentRateLimiter
from dramatiq.rate_limits.backends import StubBackend as LimitBackend

from jobs.database.models import JobRun
from jobs.dramatiq import LedgerBroker
from jobs.ledger.runs.claim import claim_due
from jobs.ledger.runs.replay import reopen
from jobs.ledger.runs.sweep import end_dead_attempts
from jobs.states import Outcome
from tests.jobs.dramatiq.broker_runs import JOIN, runs
from tests.jobs.dramatiq.conftest import StartWorker
from tests.waiting import wait_until


class TestRetries:
    def test_a_worker_that_dies_spends_no_retry(self, broker: LedgerBroker, start_worker: StartWorker) -> None:
        retries: list[int] = []
        broker.add_middleware(CurrentMessage())

        @dramatiq.actor(max_retries=0)
        def act() -> None:
            message = CurrentMessage.get_current_message()
            retries.append(message.options.get("retries", 0))  # type: ignore[union-attr]

        act.send()
        for worker in ("one", "two"):
            with broker.app.database.write() as connection:
                (held,) = claim_due(
                    connection, "default", count=1, kinds=["act"], worker=worker, lease=timedelta(seconds=60),
                    now=broker.app.clock.now() + timedelta(hours=1),
                )  # fmt: skip
                end_dead_attempts(
                    connection, worker, performing=[held.token], ended=[], over=[], why="signal 9",
                    blame=Outcome.CRASHED, poison_after=3,
                )  # fmt: skip
        with broker.app.database.write() as connection:
            connection.execute(JobRun.__table__.update().values(run_at=JobRun.created_at))
        start_worker()
        broker.join("default", timeout=JOIN)

        assert retries == [0]
        assert [(run["state"], run["crashes"]) for run in runs(broker)] == [("succeeded", 2)]

    def test_a_replay_begins_with_fresh_retries(self, broker: LedgerBroker, start_worker: StartWorker) -> None:
        seen: list[int] = []
        broker.add_middleware(CurrentMessage())

        @dramatiq.actor(max_retries=2, min_backoff=1, max_backoff=1)
        def act() -> None:
            seen.append(CurrentMessage.get_current_message().options.get("retries", 0))  # type: ignore[union-attr]
            raise ValueError

        act.send()
        start_worker()
        broker.join("default", timeout=JOIN)
        with broker.app.database.write() as connection:
            reopen(connection, [runs(broker)[0]["id"]])
        broker.join("default", timeout=JOIN)

        assert seen == [0, 1, 2, 0, 1, 2]

    def test_a_rate_limit_is_retried_until_there_is_room(self, broker: LedgerBroker, start_worker: StartWorker) -> None:
        limit = ConcurrentRateLimiter(LimitBackend(), "one-at-a-time", limit=1)
        at_once, most = [0], [0]
        lock = threading.Lock()

        @dramatiq.actor(max_retries=None, min_backoff=5, max_backoff=20)
        def act() -> None:
            with limit.acquire():
                with lock:
                    at_once[0] += 1
                    most[0] = max(most[0], at_once[0])
                time.sleep(0.01)
                with lock:
                    at_once[0] -= 1

        for _ in range(8):
            act.send()
        start_worker()
        broker.join("default", timeout=JOIN)

        assert most == [1]
        assert {run["state"] for run in runs(broker)} == {"succeeded"}

    def test_a_limit_that_is_spent_dead_letters_what_may_not_be_retried(
        self, broker: LedgerBroker, start_worker: StartWorker
    ) -> None:
        limit = BucketRateLimiter(LimitBackend(), "three", limit=3, bucket=60_000)

        @dramatiq.actor(max_retries=0)
        def act() -> None:
            with limit.acquire():
                pass

        for _ in range(5):
            act.send()
        start_worker()
        broker.join("default", timeout=JOIN)

        assert sorted(run["state"] for run in runs(broker)) == ["dead"] * 2 + ["succeeded"] * 3

    def test_the_error_of_a_dead_message_is_kept_without_its_frames(
        self, broker: LedgerBroker, start_worker: StartWorker
    ) -> None:
        @dramatiq.actor(max_retries=0)
        def bad() -> None:
            raise KeyError("which")

        worker = start_worker()
        bad.send()
        broker.join("default", timeout=JOIN)
        worker.join()

        (dead,) = broker.dead_letters
        assert isinstance(dead._exception, KeyError)
        assert dead._exception.args == ("which",)
        assert dead._exception.__traceback__ is None


class Reversed(dramatiq.Encoder):
    """An encoder of an application's own."""

    def encode(self, data: Any) -> bytes:
        return json.dumps(data).encode()[::-1]

    def decode(self, data: bytes) -> Any:
        return json.loads(data[::-1])


def test_a_retry_under_a_custom_encoder_keeps_its_count(
    broker: LedgerBroker, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dramatiq.message.global_encoder", Reversed())
    seen: list[int] = []
    broker.add_middleware(CurrentMessage())

    @dramatiq.actor(max_retries=2, min_backoff=1, max_backoff=1)
    def act(x: int) -> None:
        seen.append(CurrentMessage.get_current_message().options.get("retries", 0))  # type: ignore[union-attr]
        if len(seen) < 3:
            raise ValueError

    act.send(1)
    start_worker()
    broker.join("default", timeout=JOIN)

    assert seen == [0, 1, 2]


def test_only_what_dramatiq_added_is_taken_over(broker: LedgerBroker) -> None:
    made = LedgerBroker(middleware=[Retries(max_retries=1), Pipelines()])

    assert [type(one) for one in made.middleware] == [Retries, Pipelines]
    assert "time_limit" not in made.actor_options
    made.close()


def test_a_burst_is_performed_at_once_and_not_by_the_clock(broker: LedgerBroker, start_worker: StartWorker) -> None:
    """A retry without a wait, and what this process enqueues, is heard of at once."""
    tries: list[float] = []

    @dramatiq.actor(max_retries=10, min_backoff=0)
    def act() -> None:
        tries.append(time.monotonic())
        raise ValueError

    start_worker()
    act.send()
    broker.join("default", timeout=JOIN)

    assert len(tries) == 11
    assert wait_until(lambda: runs(broker)[0]["state"] == "dead", seconds=60)
