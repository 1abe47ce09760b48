"""What follows an actor's message: callbacks, pipelines, groups, results, and the hooks of middleware."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq import group, pipeline
from dramatiq.middleware import Middleware, SkipMessage
from dramatiq.results import ResultFailure, Results
from dramatiq.results.backends import StubBackend

from jobs.dramatiq import LedgerBroker
from tests.jobs.dramatiq.broker_runs import JOIN, runs
from tests.jobs.dramatiq.conftest import StartWorker


def test_on_retry_exhausted_on_success_and_on_failure_are_sent_once_each(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    got: list[Any] = []

    @dramatiq.actor
    def note(message: dict[str, Any], what: Any) -> None:
        got.append((message["actor_name"], what))

    @dramatiq.actor
    def fine() -> int:
        return 5

    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1, on_retry_exhausted="note")
    def bad() -> None:
        raise ValueError("no")

    fine.send_with_options(on_success=note)
    bad.send_with_options(on_failure=note)
    start_worker()
    broker.join("default", timeout=JOIN)

    failure = {"type": "ValueError", "message": "no"}
    expected = [("fine", 5), ("bad", failure), ("bad", failure), ("bad", {"retries": 1, "max_retries": 1})]
    assert sorted(got, key=repr) == sorted(expected, key=repr)


def test_a_callback_of_a_lost_lease_is_not_sent(broker: LedgerBroker) -> None:
    from jobs.ledger.runs.claim import claim_due
    from jobs.ledger.runs.settle import settle
    from jobs.messages.message_outcome import message_outcome_of
    from jobs.messages.proxy import LedgerMessage
    from worker.attempt.outcome import attempt_result_of

    @dramatiq.actor(on_success="note")
    def fine() -> None: ...

    @dramatiq.actor
    def note(message: dict[str, Any], result: Any) -> None: ...

    fine.send()
    app = broker.app
    with app.database.write() as connection:
        (claim,) = claim_due(connection, "default", count=1, kinds=["fine"], worker="w", lease=timedelta(seconds=9))
    message = LedgerMessage(claim)
    broker.emit_after("process_message", message, result=None)
    attempt_result = attempt_result_of(app, claim, app.clock.monotonic(), message_outcome_of(message, max_bytes=10_000))

    counts = []
    for _ in range(2):  # The second is a zombie's.
        with app.database.write() as connection:
            settle(connection, [attempt_result], worker="w", poison_after=3, monotonic=app.clock.monotonic())
        counts.append([run["kind"] for run in runs(broker)])

    assert counts == [["fine", "note"], ["fine", "note"]]


def test_pipelines_groups_and_results_work(broker: LedgerBroker, start_worker: StartWorker) -> None:
    broker.add_middleware(Results(backend=StubBackend()))

    @dramatiq.actor(store_results=True)
    def add(x: int, y: int) -> int:
        return x + y

    @dramatiq.actor(store_results=True, max_retries=0)
    def fail() -> None:
        raise RuntimeError("no")

    start_worker()
    piped = (add.message(1, 2) | add.message(3) | add.message(4)).run()
    many = group([add.message(i, i) for i in range(5)] + [pipeline([add.message(1, 1), add.message(1)])]).run()

    assert piped.get_result(block=True, timeout=JOIN) == 10
    assert list(many.get_results(block=True, timeout=JOIN)) == [0, 2, 4, 6, 8, 3]
    with pytest.raises(ResultFailure, match="no"):
        fail.send().get_result(block=True, timeout=JOIN)


def test_hooks_are_called_in_dramatiqs_order_and_a_skipped_message_is_cancelled(
    broker: LedgerBroker, start_worker: StartWorker
) -> None:
    # The sender's and the worker's: the worker may be done before the sender's last hook.
    sent: list[str] = []
    seen: list[str] = []

    class Watch(Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            seen.append("before_process_message")
            if message.args == ("skip",):
                raise SkipMessage("not this one")

        def after_process_message(
            self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
        ) -> None:
            seen.append("after_process_message")

        def after_skip_message(self, broker: Any, message: Any) -> None:
            seen.append("after_skip_message")

        def before_ack(self, broker: Any, message: Any) -> None:
            seen.append("before_ack")

        def after_ack(self, broker: Any, message: Any) -> None:
            seen.append("after_ack")

        def before_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
            sent.append("before_enqueue")

        def after_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
            sent.append("after_enqueue")

    broker.add_middleware(Watch())

    @dramatiq.actor
    def act(what: str) -> None:
        seen.append("act")

    worker = start_worker()
    act.send("do")
    broker.join("default", timeout=JOIN)
    worker.join()
    act.send("skip")
    broker.join("default", timeout=JOIN)
    worker.join()

    assert sent == ["before_enqueue", "after_enqueue"] * 2
    assert seen == [
        "before_process_message", "act", "after_process_message", "before_ack", "after_ack",
        "before_process_message", "after_skip_message", "before_ack", "after_ack",
    ]  # fmt: skip
    assert [run["state"] for run in runs(broker)] == ["succeeded", "cancelled"]
