"""What applications, their tests and third-party middleware rely on, with dramatiq's own worker."""

from __future__ import annotations

import queue
import threading
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq import Broker
from dramatiq.errors import ActorNotFound, QueueNotFound
from dramatiq.middleware import AgeLimit, CurrentMessage, Middleware, TimeLimit
from dramatiq.results import Results

from jobs.definition import registry
from jobs.dramatiq import LedgerBroker
from jobs.errors import ConfigurationError
from jobs.ledger.runs.claim import claim_due
from jobs.messages import actor_job
from tests.jobs.dramatiq.broker_runs import JOIN, runs
from tests.jobs.dramatiq.conftest import StartWorker
from tests.jobs.dramatiq.hook_recorder import HookRecorder
from worker.process.thread_broker import ThreadBroker


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


class SeenLock:
    """A lock that counts the threads that have come to it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.arrivals = threading.Semaphore(0)

    def __enter__(self) -> None:
        self.arrivals.release()
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def test_threads_that_first_use_a_broker_with_a_url_share_one_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.boot._app", None)
    alone, lock = LedgerBroker("sqlite:///never-opened.db"), SeenLock()
    alone._app_lock = lock  # type: ignore[assignment]
    found = []

    def build(settings: Any) -> object:
        # Until the other thread, which has found no App either, waits at the lock.
        assert found or all(lock.arrivals.acquire(timeout=20) for _ in range(2))
        return object()

    monkeypatch.setattr("jobs.boot.build", build)

    threads = [threading.Thread(target=lambda: found.append(alone.app)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(found) == 2
    assert found[0] is found[1], "the consumers of one worker would end each other's"


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
