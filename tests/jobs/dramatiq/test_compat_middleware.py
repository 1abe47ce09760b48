"""Middleware, results, pipelines and groups of applications, with dramatiq's own worker."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq import group, pipeline
from dramatiq.middleware import (
    Middleware,
    Shutdown,
    SkipMessage,
)
from dramatiq.results import ResultMissing, Results
from dramatiq.results.backends import RedisBackend, StubBackend

from jobs.dramatiq import LedgerBroker
from tests.jobs.dramatiq.broker_runs import JOIN, runs
from tests.jobs.dramatiq.conftest import StartWorker
from tests.jobs.dramatiq.hook_recorder import HookRecorder


class TestMiddleware:
    def test_hooks_of_a_delayed_message(self, broker: LedgerBroker) -> None:
        recorder = HookRecorder()

        @dramatiq.actor
        def act() -> None: ...

        broker.add_middleware(recorder)
        recorder.recorded.clear()
        act.send_with_options(delay=60_000)

        assert recorder.names() == ["before_enqueue", "after_enqueue", "before_delay_message"]

    def test_a_worker_tells_of_its_boot_and_its_shutdown(self, broker: LedgerBroker, start_worker: StartWorker) -> None:
        recorder = HookRecorder()
        broker.add_middleware(recorder)

        start_worker().stop()

        names = recorder.names()
        assert names[0] == "before_worker_boot"
        assert names[-1] == "after_worker_shutdown"
        assert names.count("after_worker_thread_boot") == names.count("before_worker_thread_shutdown") == 4

    def test_a_middleware_may_put_a_message_off_and_skip_it(
        self, broker: LedgerBroker, start_worker: StartWorker
    ) -> None:
        """As locks and uniqueness of third parties do: enqueue it for later, and skip it now."""
        done: list[int] = []

        class NotYet(Middleware):
            def before_process_message(self, broker: Any, message: Any) -> None:
                if not message.options.get("waited"):
                    broker.enqueue(message.copy(options={"waited": True}), delay=10)
                    raise SkipMessage("not yet")

        broker.add_middleware(NotYet())

        @dramatiq.actor
        def act() -> None:
            done.append(1)

        act.send()
        start_worker()
        broker.join("default", timeout=JOIN)

        assert done == [1]
        assert [run["state"] for run in runs(broker)] == ["cancelled", "succeeded"]

    def test_what_is_enqueued_after_a_skip_counts(self, broker: LedgerBroker, start_worker: StartWorker) -> None:
        class Later(Middleware):
            def before_process_message(self, broker: Any, message: Any) -> None:
                if not message.options.get("waited"):
                    raise SkipMessage("not yet")

            def after_skip_message(self, broker: Any, message: Any) -> None:
                broker.enqueue(message.copy(options={"waited": True}), delay=10)

        broker.add_middleware(Later())
        done: list[int] = []

        @dramatiq.actor
        def act() -> None:
            done.append(1)

        act.send()
        start_worker()
        broker.join("default", timeout=JOIN)

        assert done == [1]

    def test_a_middleware_that_fails_is_logged_and_costs_no_message(
        self, broker: LedgerBroker, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(Middleware):
            def after_process_message(self, broker: Any, message: Any, **what: Any) -> None:
                raise RuntimeError("broken")

        broker.add_middleware(Broken())

        @dramatiq.actor
        def act() -> None: ...

        act.send()
        start_worker()
        broker.join("default", timeout=JOIN)

        assert [run["state"] for run in runs(broker)] == ["succeeded"]
        assert "Unexpected failure in after_process_message" in caplog.text

    def test_an_actor_that_asks_for_it_hears_of_the_shutdown_and_is_retried(
        self, broker: LedgerBroker, start_worker: StartWorker
    ) -> None:
        began, heard = threading.Event(), []

        @dramatiq.actor(notify_shutdown=True, max_retries=3, min_backoff=60_000)
        def act() -> None:
            began.set()
            try:
                while True:
                    time.sleep(0.01)
            except Shutdown:
                heard.append(1)
                raise

        act.send()
        worker = start_worker()
        assert began.wait(20)
        worker.stop()
        broker.close()

        assert heard == [1]
        assert [(run["state"], run["attempt"]) for run in runs(broker)] == [("queued", 1)]


class TestResultsAndComposition:
    @pytest.fixture(params=["stub", "redis"])
    def results(self, request: pytest.FixtureRequest, broker: LedgerBroker) -> Any:
        made = StubBackend() if request.param == "stub" else RedisBackend(url=request.getfixturevalue("redis_url"))
        broker.add_middleware(Results(backend=made))
        return made

    def test_results_of_pipelines_groups_and_groups_of_groups(
        self, broker: LedgerBroker, start_worker: StartWorker, results: Any
    ) -> None:
        @dramatiq.actor(store_results=True)
        def add(x: int, y: int) -> int:
            return x + y

        piped = add.message(1, 2) | add.message(3)
        with pytest.raises(ResultMissing):
            piped.get_result()
        nested = group([group([add.message(1, 1), add.message(2, 2)]), pipeline([add.message(3, 3), add.message(4)])])
        piped.run()
        nested.run()
        start_worker()

        assert piped.get_result(block=True, timeout=JOIN) == 6
        assert list(nested.get_results(block=True, timeout=JOIN)) == [[2, 4], 10]
        assert (piped.completed, nested.completed) == (True, True)
        assert runs(broker)[0]["result"] == 3

    def test_a_pipeline_stops_where_a_message_fails_and_waits_where_it_is_told(
        self, broker: LedgerBroker, start_worker: StartWorker
    ) -> None:
        @dramatiq.actor(max_retries=0)
        def bad() -> None:
            raise ValueError

        @dramatiq.actor
        def first() -> int:
            return 1

        @dramatiq.actor(queue_name="later")
        def then(x: Any = None) -> None: ...

        pipeline([bad.message(), then.message()]).run()
        pipeline([first.message(), then.message_with_options(delay=3_600_000)]).run()
        start_worker()
        broker.join("default", timeout=JOIN)

        (waiting,) = [run for run in runs(broker) if run["kind"] == "then"]
        assert waiting["run_at"] - waiting["created_at"] > timedelta(minutes=59)
        assert waiting["arguments"]["args"] == [1]
        assert waiting["parent_id"] in {run["id"] for run in runs(broker) if run["kind"] == "first"}

    def test_a_returned_value_is_kept_and_warned_of_without_results(
        self, broker: LedgerBroker, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
    ) -> None:
        @dramatiq.actor
        def act() -> int:
            return 7

        act.send()
        start_worker()
        broker.join("default", timeout=JOIN)

        assert runs(broker)[0]["result"] == 7
        assert "Consider adding the Results middleware" in caplog.text
