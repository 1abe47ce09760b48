"""What applications, their tests and third-party middleware rely on, with dramatiq's own worker."""

from __future__ import annotations

import json
import queue
import threading
import time
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq import Broker
from dramatiq.errors import ActorNotFound, QueueNotFound
from dramatiq.middleware import (
    AgeLimit,
    CurrentMessage,
    Middleware,
    Pipelines,
    Retries,
    TimeLimit,
)
from dramatiq.rate_limits import BucketRateLimiter, ConcurrentRateLimiter
from dramatiq.rate_limits.backends import StubBackend as LimitBackend
from dramatiq.results import Results

from jobs.database.models import JobRun
from jobs.definition import registry
from jobs.dramatiq import LedgerBroker
from jobs.errors import ConfigurationError
from jobs.ledger.runs.claim import claim_due
from jobs.ledger.runs.replay import reopen
from jobs.ledger.runs.sweep import end_dead_attempts
from jobs.messages import actor_job
from jobs.states import Outcome
from tests.jobs.dramatiq.conftest import StartWorker
from tests.jobs.dramatiq.hook_recorder import HookRecorder, runs
from tests.waiting import wait_until
from worker.process.thread_broker import ThreadBroker

JOIN = 100_000


class TestTheBroker:
    def test_the_ledger_broker_is_the_global_broker_and_knows_its_actors_and_queues(self, broker: LedgerBroker) -> None:
        @dramatiq.actor(queue_name="mail")
        def act() -> None: ...

        assert dramatiq.get_broker() is broker
        assert broker.get_actor("act") is act
        assert broker.get_declared_actors() == {"act"}
        assert broker.get_declared_queues() == {"mail"}
        assert broker.get_declared_delay_queues() == {"mail.DQ"}
        with pytest.raises(ActorNotFound):
            broker.get_actor("nobody")
        for ask in (broker.join, broker.flush, broker.consume):
            with pytest.raises(QueueNotFound):
                ask("never")

    def test_middleware_is_added_where_it_is_asked_for_and_hears_what_was_declared(self, broker: LedgerBroker) -> None:
        @dramatiq.actor
        def early() -> None: ...

        recorder = HookRecorder()
        broker.add_middleware(recorder, before=AgeLimit)
        broker.add_middleware(CurrentMessage(), after=AgeLimit)
        with pytest.raises(ValueError, match="not found"):
            broker.add_middleware(HookRecorder(), before=Results)
        with pytest.raises(AssertionError):
            broker.add_middleware(HookRecorder(), before=AgeLimit, after=AgeLimit)

        @dramatiq.actor(noted=True)
        def late() -> None: ...

        assert [type(one) for one in broker.middleware[:3]] == [HookRecorder, AgeLimit, CurrentMessage]
        assert isinstance(broker.middleware[3], TimeLimit)
        assert ("after_declare_actor", "early") in recorder.recorded
        assert recorder.recorded[-2:] == [("before_declare_actor", "late"), ("after_declare_actor", "late")]
        assert late.options == {"noted": True}

    def test_without_middleware_a_failed_message_is_not_retried(
        self, broker: LedgerBroker, start_worker: StartWorker
    ) -> None:
        broker.middleware.clear()

        @dramatiq.actor
        def bad() -> None:
            raise ValueError("once")

        bad.send()
        start_worker()
        broker.join("default", timeout=JOIN)

        assert [(run["state"], run["attempt"]) for run in runs(broker)] == [("dead", 1)]

    def test_gevent_is_refused(self, broker: LedgerBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jobs.dramatiq.hooks.is_gevent_active", lambda: True)

        with pytest.raises(ConfigurationError, match="gevent"):
            dramatiq.Worker(broker).start()

    def test_a_queue_is_counted_filled_and_emptied_as_with_a_stub_broker(self, broker: LedgerBroker) -> None:
        @dramatiq.actor
        def act(number: int) -> None: ...

        sent = act.send(1)
        act.send_with_options(args=(2,), delay=60_000)
        view = broker.queues["default"]

        assert (view.qsize(), view.unfinished_tasks, view.empty()) == (1, 2, False)
        assert dramatiq.Message.decode(view.get(timeout=1)) == sent
        with pytest.raises(queue.Empty):
            view.get(timeout=0.01)
        view.put(act.message(3).encode())
        assert view.qsize() == 1
        broker.flush_all()
        assert (view.qsize(), view.unfinished_tasks) == (0, 0)


class TestMessages:
    def test_a_message_is_the_same_when_it_comes_out(self, broker: LedgerBroker, start_worker: StartWorker) -> None:
        got: list[Any] = []
        broker.add_middleware(CurrentMessage())

        @dramatiq.actor
        def act(*args: Any, **kwargs: Any) -> None:
            got.append(CurrentMessage.get_current_message()._message)  # type: ignore[union-attr]

        sent = act.send_with_options(args=(1, "é", [None, 2.5]), kwargs={"b": {"c": True}}, my_option="kept")
        assert dramatiq.Message.decode(sent.encode()) == sent
        start_worker()
        broker.join("default", timeout=JOIN)

        assert got == [sent]
        assert CurrentMessage.get_current_message() is None

    @pytest.mark.parametrize("eta", ["no number", None])
    def test_a_message_without_eta_is_due_now(
        self, broker: LedgerBroker, start_worker: StartWorker, eta: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        done: list[int] = []

        @dramatiq.actor
        def act() -> None:
            done.append(1)

        broker.enqueue(act.message_with_options(eta=eta))
        start_worker()
        broker.join("default", timeout=JOIN)

        assert done == [1]
        assert ("Invalid eta value" in caplog.text) == (eta is not None)

    def test_priority_acts_in_the_queue_itself(self, broker: LedgerBroker, start_worker: StartWorker) -> None:
        done: list[str] = []

        @dramatiq.actor(priority=100)
        def low() -> None:
            done.append("low")

        @dramatiq.actor(priority=-5)
        def high() -> None:
            done.append("high")

        for _ in range(20):
            low.send()
        high.send()
        with broker.app.database.write() as connection:
            (first,) = claim_due(
                connection, "default", count=1, kinds=["low", "high"], worker="w", lease=timedelta(seconds=9)
            )

        assert first.kind == "high"

    def test_arguments_are_not_logged(
        self, broker: LedgerBroker, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")

        @dramatiq.actor(max_retries=0)
        def act(secret: str) -> None:
            raise ValueError

        act.send("hunter2")
        start_worker()
        broker.join("default", timeout=JOIN)

        assert "Failed to process message act" in caplog.text
        assert "hunter2" not in "\n".join(one.getMessage() for one in caplog.records)


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


def test_middleware_that_is_put_into_every_broker_stays_out_of_the_workers_own(
    broker: LedgerBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Sentry's integration does: on the worker's own broker it would report each run a second time.
    plain, recorder = Broker.__init__, HookRecorder()

    def patched(self: Any, *args: Any, **how: Any) -> None:
        given = how.pop("middleware", None) or (args[0] if args else None)
        plain(self, middleware=[recorder, *(given or [])])

    monkeypatch.setattr(Broker, "__init__", patched)

    theirs = LedgerBroker(middleware=[])
    ours = ThreadBroker(broker.app, middleware=[given := Middleware()])

    assert theirs.middleware == [recorder]
    assert "noted" in theirs.actor_options
    assert ours.middleware == [given]


def test_a_broker_with_a_url_of_its_own_serves_a_dramatiq_worker(
    broker: LedgerBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = broker.app.settings.database_url
    monkeypatch.setattr("jobs.boot._app", None)
    alone = LedgerBroker(url)
    done = threading.Event()
    dramatiq.actor(done.set, actor_name="alone", broker=alone)
    worker = dramatiq.Worker(alone, worker_timeout=50, worker_threads=1)

    alone.get_actor("alone").send()
    # Nobody has asked for the ledger yet in a worker's process, when its consumers start.
    alone.close()
    worker.start()

    # Else the worker waits for itself, and would not stop either.
    assert done.wait(20)
    worker.stop()
    alone.close()
    registry.forget("alone")
    actor_job.brokers.pop("alone")
